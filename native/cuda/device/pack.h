// Sixteen bytes of elements at once: the widest access a thread has.
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

}  // namespace heddle::cuda
