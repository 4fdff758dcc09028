// Groups of threads that share a row, and reductions over them.
#pragma once

#include "reduce.h"

namespace heddle::cuda {

/// Threads that share a row: `lanes` neighbours within a warp (a power of two), or, above 32, the whole block.
struct Group {
  int lanes;
  int lane;      // of this thread
  int index;     // of this group in its block
  int perBlock;  // groups

  __device__ explicit Group(int lanes)
      : lanes(lanes),
        lane(lanes > 32 ? threadIdx.x : threadIdx.x & (lanes - 1)),
        index(lanes > 32 ? 0 : threadIdx.x / lanes),
        perBlock(lanes > 32 ? 1 : blockDim.x / lanes) {}
};

/// The larger one; NaN is passed over, as the sum that follows a softmax's maximum shows it.
struct Greatest {
  template <typename T>
  __device__ static T combine(T a, T b) {
    return fmax(a, b);
  }
};

/// Reduces each of `values` over the group; every thread gets the results. All threads of the block call. `scratch` is
/// shared memory for 32 * kCount values and may be used again at once.
template <typename Op, typename T, int kCount>
__device__ inline void groupReduce(T (&values)[kCount], T identity, int lanes, T* scratch) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    if (distance >= lanes) continue;
#pragma unroll
    for (T& value : values) value = Op::combine(value, __shfl_xor_sync(0xffffffffu, value, distance));
  }
  if (lanes <= 32) return;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  if (lane == 0)
#pragma unroll
    for (int i = 0; i < kCount; i++) scratch[i * 32 + warp] = values[i];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kCount; i++) values[i] = warpReduce<Op>(lane < warps ? scratch[i * 32 + lane] : identity);
  __syncthreads();
}

template <typename Op, typename T>
__device__ inline T groupReduce(T value, T identity, int lanes, T* scratch) {
  T values[1] = {value};
  groupReduce<Op>(values, identity, lanes, scratch);
  return values[0];
}

}  // namespace heddle::cuda
