// Running sums over the threads of a block.
#pragma once

namespace heddle::cuda {

/// Gives each thread the sum of the values of those before it, and all of them the `total`. `scratch` is shared memory
/// for 32 values; the block is one-dimensional, a multiple of 32 threads, and all of them call. Scratch may be used
/// again at once.
template <typename T>
__device__ inline T blockScan(T value, T& total, T* scratch) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  T sum = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const T before = __shfl_up_sync(0xffffffffu, sum, distance);
    if (lane >= distance) sum += before;
  }
  if (lane == 31) scratch[warp] = sum;
  __syncthreads();
  T start = 0;
  total = 0;
  for (int i = 0; i < warps; i++) {
    if (i == warp) start = total;
    total += scratch[i];
  }
  __syncthreads();
  return start + sum - value;
}

}  // namespace heddle::cuda
