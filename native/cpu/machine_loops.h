// What the processor gives at most: multiply-adds that stay in registers, and a copy with streaming stores.

template <typename T>
struct Wide {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};

/// Hides the latency of a multiply-add (4 cycles, two of them at a time) and leaves registers for both constants.
constexpr int kChains = 12;

/// x <- factor x + term, `repeats` times.
template <typename T>
void multiplyAddBlock(T* x, int64_t size, int64_t repeats, T factor, T term) {
  typedef typename Wide<T>::type V;
  constexpr int64_t lanes = kVectorBytes / sizeof(T);
  const V factors = broadcast<V>(factor), terms = broadcast<V>(term);
  for (int64_t first = 0; first < size; first += kChains * lanes) {
    V chains[kChains];
#pragma GCC unroll 12
    for (int k = 0; k < kChains; k++) __builtin_memcpy(&chains[k], x + first + k * lanes, sizeof(V));
    for (int64_t i = 0; i < repeats; i++) {
#pragma GCC unroll 12
      for (int k = 0; k < kChains; k++) chains[k] = chains[k] * factors + terms;
    }
#pragma GCC unroll 12
    for (int k = 0; k < kChains; k++) __builtin_memcpy(x + first + k * lanes, &chains[k], sizeof(V));
  }
}

/// Both 64-byte aligned.
inline void streamBytes(const char* from, char* to, int64_t bytes) {
#if HEDDLE_VECTOR_BYTES == 64
  typedef long long Line __attribute__((vector_size(64)));
  for (int64_t i = 0; i + 64 <= bytes; i += 64)
    __builtin_ia32_movntdq512(reinterpret_cast<Line*>(to + i), *reinterpret_cast<const Line*>(from + i));
#elif HEDDLE_VECTOR_BYTES == 32
  typedef long long Line __attribute__((vector_size(32)));
  for (int64_t i = 0; i + 64 <= bytes; i += 64) {
    const Line low = *reinterpret_cast<const Line*>(from + i), high = *reinterpret_cast<const Line*>(from + i + 32);
    __builtin_ia32_movntdq256(reinterpret_cast<Line*>(to + i), low);
    __builtin_ia32_movntdq256(reinterpret_cast<Line*>(to + i + 32), high);
  }
#else
  __builtin_memcpy(to, from, static_cast<size_t>(bytes - bytes % 64));
#endif
  __builtin_memcpy(to + bytes - bytes % 64, from + bytes - bytes % 64, static_cast<size_t>(bytes % 64));
#if HEDDLE_VECTOR_BYTES >= 32
  __builtin_ia32_sfence();
#endif
}
