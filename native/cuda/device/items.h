// Walks items with the grid's stride, several at a time: all of a thread's loads are on their way before it stores.
#pragma once

#include <cstdint>

namespace heddle::cuda {

/// Items that one thread has in flight.
inline constexpr int kItemsAtOnce = 4;

/// Calls `store(i, load(i))` for each i below `count`. Where Offset has 32 bits, `count` is below 2^31.
template <typename Offset, typename Load, typename Store>
__device__ inline void eachItem(Offset count, Load load, Store store) {
  using Value = decltype(load(Offset{}));
  const Offset block = static_cast<Offset>(blockDim.x) * kItemsAtOnce;
  for (Offset first = blockIdx.x * block + threadIdx.x; first < count; first += gridDim.x * block) {
    Value values[kItemsAtOnce];
#pragma unroll
    for (int k = 0; k < kItemsAtOnce; k++) {
      const Offset i = first + k * blockDim.x;
      if (i < count) values[k] = load(i);
    }
#pragma unroll
    for (int k = 0; k < kItemsAtOnce; k++) {
      const Offset i = first + k * blockDim.x;
      if (i < count) store(i, values[k]);
    }
  }
}

}  // namespace heddle::cuda
