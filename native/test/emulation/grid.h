// Runs a grid on the host: block after block, each thread a fiber, switched at barriers and warp intrinsics.
#pragma once

#include <functional>

#include "cuda_runtime.h"

namespace heddle::emulation {

/// Runs the whole grid. A block that can not go on (a barrier that some thread never reaches) ends the process with a
/// sentence: the kernel is wrong.
/// HEDDLE_CUDA_EMULATION_SEED=n gives blocks, and the threads of a block between two barriers, a random order, in which
/// a missing barrier shows; without it they run in theirs.
HEDDLE_EMULATION_API void runGrid(dim3 grid, dim3 block, size_t sharedBytes, const std::function<void()>& thread);

}  // namespace heddle::emulation
