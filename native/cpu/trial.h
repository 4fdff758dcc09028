// Chooses among kernels of one problem by timing them on random data, once per problem and process.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../core/kernel.h"

namespace heddle {

/// One operand's memory in a trial: enough elements to hold what the kernel reads or writes.
struct TrialOperand {
  DType dtype;
  size_t elements;
};

using TrialFactory = std::function<std::unique_ptr<Kernel>()>;

/// A new kernel from the factory that was fastest for `key`. A factory may give nullptr, but not all of them.
std::unique_ptr<Kernel> makeFastest(const std::string& key, const std::vector<TrialFactory>& factories,
                                    const std::vector<TrialOperand>& inputs, const std::vector<TrialOperand>& outputs);

}  // namespace heddle
