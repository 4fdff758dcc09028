// Indices on the device: of either type, and checked before anything is read or written with them.
#pragma once

#include <cstdint>

#include "../../core/element.h"
#include "report.h"

namespace heddle::cuda {

/// i32 or i64, told apart where one is read: a kernel waits for memory, not for a branch that all threads take.
struct Indices {
  const void* data;
  bool wide;

  Indices(const void* data, DType dtype) : data(data), wide(dtype == DType::i64) {}
  __device__ int64_t operator[](int64_t i) const {
    return wide ? static_cast<const int64_t*>(data)[i] : static_cast<const int32_t*>(data)[i];
  }
};

/// The dtype of an operand of indices. Throws Error unsupported where it is another than i32 or i64.
inline DType indexType(const char* op, DType dtype) {
  return dispatchIndex(op, dtype, [&](auto) { return dtype; });
}

/// Whether an index is in [0, limit); reports it where it is not.
__device__ inline bool inRange(int64_t index, int64_t limit, int64_t position, const Reporter& reporter) {
  if (index >= 0 && index < limit) return true;
  reportFinding(reporter, Finding::index, position, index, limit);
  return false;
}

/// For results without elements, which nothing else is read for.
static __global__ void checkIndices(const Indices indices, int64_t limit, int64_t count, Reporter reporter) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x)
    inRange(indices[i], limit, i, reporter);
}

}  // namespace heddle::cuda
