// Sums and maxima over the threads of a warp and of a block, in an order that only the block's size decides.
#pragma once

namespace heddle::cuda {

struct Sum {
  template <typename T>
  __device__ static T combine(T a, T b) {
    return a + b;
  }
};

/// NaN wins, as in the ops `max` and `min`.
struct Max {
  template <typename T>
  __device__ static T combine(T a, T b) {
    return a > b || a != a ? a : b;
  }
};
struct Min {
  template <typename T>
  __device__ static T combine(T a, T b) {
    return a < b || a != a ? a : b;
  }
};

/// Every lane gets the result of its group of `lanes` neighbours, a power of two. All 32 lanes call.
template <typename Op, int lanes, typename T>
__device__ inline T groupReduce(T value) {
#pragma unroll
  for (int distance = lanes / 2; distance > 0; distance /= 2)
    value = Op::combine(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}

/// Every lane gets the whole warp's result.
template <typename Op, typename T>
__device__ inline T warpReduce(T value) {
  return groupReduce<Op, 32>(value);
}

/// Every thread gets the whole block's result. `scratch` is shared memory for 32 values; the block is one-dimensional,
/// a multiple of 32 threads, and all of them call. Scratch may be used again at once.
template <typename Op, typename T>
__device__ inline T blockReduce(T value, T identity, T* scratch) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  value = warpReduce<Op>(value);
  if (warps == 1) return value;
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = lane < warps ? scratch[lane] : identity;
  value = warpReduce<Op>(value);
  __syncthreads();
  return value;
}

}  // namespace heddle::cuda
