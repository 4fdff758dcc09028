// Chooses among kernels of one problem by timing them on random data on the device, once per problem.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../core/choices.h"
#include "../core/kernel.h"

namespace heddle::cuda {

/// One operand's memory in a trial: enough elements to hold what the kernel reads or writes.
struct TrialOperand {
  DType dtype;
  size_t elements;
};

/// A kernel that may be chosen. `name` says which it is in every process on the same device and libraries; `make` may
/// give nullptr where it turns out not to be one.
struct TrialCandidate {
  std::string name;
  std::function<std::unique_ptr<Kernel>()> make;
};

/// The fastest kernel for `problem`, a text that says all that matters but the device; nullptr where no candidate can
/// be made. Choices are kept by the process and in the cache folder. The first candidate is taken where the memory to
/// compare in cannot be had, and always where HEDDLE_DETERMINISTIC=1: then no choice depends on time, so that
/// processes agree to the last bit.
std::unique_ptr<Kernel> makeFastest(const std::string& problem, const std::vector<TrialCandidate>& candidates,
                                    const std::vector<TrialOperand>& inputs, const std::vector<TrialOperand>& outputs);

/// Whether f32 products may run on tensor cores with operands rounded to TF32 (10 bits of mantissa): HEDDLE_TF32=1.
bool tensorFloat32Allowed();

/// What was chosen or read from the cache folder so far in this process; devices choose on threads of their own.
Choices& trialChoices();

}  // namespace heddle::cuda
