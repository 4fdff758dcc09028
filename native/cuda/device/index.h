// Indices on the device: checked before anything is read or written with them.
#pragma once

#include <cstdint>

#include "report.h"

namespace heddle::cuda {

/// Whether an index is in [0, limit); reports it where it is not.
template <typename Index>
__device__ inline bool inRange(Index index, int64_t limit, int64_t position, const Reporter& reporter) {
  if (index >= 0 && index < limit) return true;
  reportFinding(reporter, Finding::index, position, index, limit);
  return false;
}

/// For results without elements, which nothing else is read for.
template <typename Index>
__global__ void checkIndices(const Index* indices, int64_t limit, int64_t count, Reporter reporter) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x)
    inRange(indices[i], limit, i, reporter);
}

}  // namespace heddle::cuda
