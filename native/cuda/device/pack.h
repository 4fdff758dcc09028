// Sixteen bytes of elements at once: the widest access a thread has.
#pragma once

namespace heddle::cuda {

template <typename T, int count = 16 / sizeof(T)>
struct alignas(sizeof(T) * count) Pack {
  T element[count];
};

/// Whether an address can be read in packs of T.
template <typename T>
__host__ __device__ inline bool packAligned(const T* address) {
  return reinterpret_cast<unsigned long long>(address) % 16 == 0;
}

}  // namespace heddle::cuda
