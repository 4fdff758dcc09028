// Neighbouring elements at once, up to the sixteen bytes of the widest access a thread has (or several of those).
#pragma once

namespace heddle::cuda {

template <typename T>
inline constexpr int kPackWidth = 16 / sizeof(T);

template <typename T, int count = kPackWidth<T>>
struct alignas(sizeof(T) * count) Pack {
  T element[count];
};

/// A pack as four registers. Between branches 16-bit elements are carried in pairs this way; as elements each would
/// take a register.
struct alignas(16) Words {
  unsigned word[4];
};

template <typename T>
__device__ inline Words wordsOf(const Pack<T>& pack) {
  return __builtin_bit_cast(Words, pack);
}
template <typename T>
__device__ inline Pack<T> elementsOf(const Words& words) {
  return __builtin_bit_cast(Pack<T>, words);
}
/// A pack of one value.
template <typename T>
__device__ inline Words repeated(T value) {
  Pack<T> pack;
#pragma unroll
  for (T& element : pack.element) element = value;
  return wordsOf(pack);
}

/// Whether an address can be read in packs of T.
template <typename T>
__host__ __device__ inline bool packAligned(const T* address) {
  return reinterpret_cast<unsigned long long>(address) % 16 == 0;
}

/// Whether it can in packs of `count`, a power of two.
template <int count, typename T>
__host__ __device__ inline bool packsAligned(const T* address) {
  return reinterpret_cast<unsigned long long>(address) % (count * sizeof(T)) == 0;
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
