// Neighbouring elements at once, up to the sixteen bytes of the widest access a thread has (or several of those).
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

/// `count` neighbours; the address is aligned to all of them.
template <int count, typename T>
__device__ inline Pack<T, count> loadPack(const T* address) {
  return *reinterpret_cast<const Pack<T, count>*>(address);
}
template <int count, typename T>
__device__ inline void storePack(T* address, const Pack<T, count>& pack) {
  *reinterpret_cast<Pack<T, count>*>(address) = pack;
}

/// The same from and to any address.
template <int count, typename T>
__device__ inline Pack<T, count> loadEach(const T* address) {
  Pack<T, count> pack;
#pragma unroll
  for (int i = 0; i < count; i++) pack.element[i] = address[i];
  return pack;
}
template <int count, typename T>
__device__ inline void storeEach(T* address, const Pack<T, count>& pack) {
#pragma unroll
  for (int i = 0; i < count; i++) address[i] = pack.element[i];
}

}  // namespace heddle::cuda
