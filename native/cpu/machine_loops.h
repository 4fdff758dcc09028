// What the processor gives at most: multiply-adds that stay in registers, and reading.

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

/// The exclusive or of `count` words, by as many chains as hide the latency of a load.
inline uint32_t readWords(const uint32_t* words, int64_t count) {
  typedef uint32_t V __attribute__((vector_size(kVectorBytes)));
  constexpr int64_t lanes = kVectorBytes / 4, readers = 4;
  V chains[readers] = {};
  int64_t i = 0;
  for (; i + readers * lanes <= count; i += readers * lanes)
#pragma GCC unroll 4
    for (int64_t k = 0; k < readers; k++) {
      V next;
      __builtin_memcpy(&next, words + i + k * lanes, sizeof next);
      chains[k] ^= next;
    }
  uint32_t result = 0;
  for (int64_t k = 0; k < readers; k++)
    for (int64_t lane = 0; lane < lanes; lane++) result ^= chains[k][lane];
  for (; i < count; i++) result ^= words[i];
  return result;
}
