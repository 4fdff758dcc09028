// The implementations that may solve an attention problem.
#pragma once

#include <memory>
#include <vector>

#include "attention_graph.h"
#include "trial.h"

namespace heddle::cuda {

/// Kernels of our own: every problem.
std::unique_ptr<Kernel> makeFlashAttention(const AttentionProblem& problem, AttentionDirection direction);

/// What cuDNN offers for a problem, its own favourites first; most are found out to be none only when they are made.
/// Empty where the library is not found or is older than what its graphs were checked with.
std::vector<TrialCandidate> attentionPlans(const AttentionProblem& problem, AttentionDirection direction);

}  // namespace heddle::cuda
