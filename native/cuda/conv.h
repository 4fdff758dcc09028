// The implementations that may solve a convolution problem.
#pragma once

#include <memory>
#include <vector>

#include "../core/conv_problem.h"
#include "trial.h"

namespace heddle::cuda {

/// Direct sums by kernels of our own: any strides, any extents, each element one sum in a fixed order.
std::unique_ptr<Kernel> makeConvGeneral(const ConvProblem& problem, ConvDirection direction);

/// What cuDNN offers for a problem without empty operands, its own favourites first; most are found out to be none only
/// when they are made. Throws Error unsupported where the library is not found.
std::vector<TrialCandidate> convPlans(const ConvProblem& problem, ConvDirection direction);

}  // namespace heddle::cuda
