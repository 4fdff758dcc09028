// The CUDA runtime with its error codes as exceptions.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "../core/error.h"

namespace heddle::cuda {

/// Throws Error where a call of the runtime failed: outOfMemory, or deviceLost, for no other failure leaves the device
/// usable.
inline void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  const ErrorCode code = result == cudaErrorMemoryAllocation ? ErrorCode::outOfMemory : ErrorCode::deviceLost;
  throw Error(code, std::string(what) + ": " + cudaGetErrorString(result));
}

}  // namespace heddle::cuda
