// Sums over channels that can be taken in parts and merged in a fixed order.
#pragma once

namespace heddle::cuda {

/// How many values, their sum and their squared distances from their mean, for each of some neighbouring channels.
/// Parts are merged by Chan, Golub and LeVeque 1983, "Algorithms for Computing the Sample Variance", for a sum of
/// squares alone would cancel where the mean is large. Begins as zeros.
template <typename C, int width>
struct Moments {
  C count;
  C sum[width], squares[width];

  __device__ void merge(const Moments& other) {
    if (other.count == 0) return;
    if (count == 0) {
      *this = other;
      return;
    }
    const C total = count + other.count, own = 1 / count, theirs = 1 / other.count,
            weight = count * (other.count / total);
#pragma unroll
    for (int j = 0; j < width; j++) {
      const C distance = other.sum[j] * theirs - sum[j] * own;
      squares[j] += other.squares[j] + distance * distance * weight;
      sum[j] += other.sum[j];
    }
    count = total;
  }
  __device__ Moments<C, 1> channel(int j) const { return {count, {sum[j]}, {squares[j]}}; }
};

/// The gradient's sums: of dy, and of dy times the distance from the mean. Begins as zeros.
template <typename C, int width>
struct SlopeSums {
  C sum[width], product[width];

  __device__ void merge(const SlopeSums& other) {
#pragma unroll
    for (int j = 0; j < width; j++) {
      sum[j] += other.sum[j];
      product[j] += other.product[j];
    }
  }
  __device__ SlopeSums<C, 1> channel(int j) const { return {{sum[j]}, {product[j]}}; }
};

/// Lane 0 gets the warp's; every lane calls.
template <typename C>
__device__ inline Moments<C, 1> warpMerge(Moments<C, 1> value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    const C count = __shfl_down_sync(0xffffffffu, value.count, distance);
    const C sum = __shfl_down_sync(0xffffffffu, value.sum[0], distance);
    const C squares = __shfl_down_sync(0xffffffffu, value.squares[0], distance);
    value.merge({count, {sum}, {squares}});
  }
  return value;
}
template <typename C>
__device__ inline SlopeSums<C, 1> warpMerge(SlopeSums<C, 1> value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    const C sum = __shfl_down_sync(0xffffffffu, value.sum[0], distance);
    const C product = __shfl_down_sync(0xffffffffu, value.product[0], distance);
    value.merge({{sum}, {product}});
  }
  return value;
}

}  // namespace heddle::cuda
