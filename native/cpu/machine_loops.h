// What the processor gives at most: multiply-adds that stay in registers, and a copy with streaming stores.

#include "stream_loops.h"

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

/// A copy whose stores pass the caches by.
inline void streamCopy(const char* from, char* to, int64_t bytes) {
  streamBytes(to, from, bytes);
  streamEnd();
}
