// Chooses among kernels of one problem by timing them on random data, once per problem and process.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../core/choices.h"
#include "../core/kernel.h"

namespace heddle {

/// One operand's memory in a trial: enough elements to hold what the kernel reads or writes.
struct TrialOperand {
  DType dtype;
  size_t elements;
};

/// A kernel that may be chosen, by a name that says which it is in every process. `make` may give nullptr where it
/// turns out not to be one.
struct TrialCandidate {
  std::string name;
  std::function<std::unique_ptr<Kernel>()> make;
};

/// What was chosen so far in this process.
Choices& trialChoices();

/// The fastest kernel for `problem`, a text that says all that matters but the processor and the number of threads; one
/// of the candidates must be possible. Always the first one where HEDDLE_DETERMINISTIC=1.
std::unique_ptr<Kernel> makeFastest(const std::string& problem, const std::vector<TrialCandidate>& candidates,
                                    const std::vector<TrialOperand>& inputs, const std::vector<TrialOperand>& outputs);

}  // namespace heddle
