// The implementations that may solve a matmul problem.
#pragma once

#include <memory>
#include <vector>

#include "../core/matmul_problem.h"
#include "trial.h"

namespace heddle::cuda {

/// Shared-memory tiles of our own: any dtype, any strides, any extents but an empty output.
std::unique_ptr<Kernel> makeMatmulGeneral(const MatmulProblem& problem);

/// What cuBLASLt offers for a problem of floats, its own favourite first; empty where it takes no such problem. Throws
/// Error unsupported where the library is not found.
std::vector<TrialCandidate> matmulAlgorithms(const MatmulProblem& problem);

}  // namespace heddle::cuda
