// Loops that move elements from memory walked down its columns to memory walked along its rows, by whole cache lines.
#include "apply.h"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

template <typename T>
constexpr int64_t kLineOf = 64 / sizeof(T);

#if defined(__AVX2__)

template <typename T>
struct Lanes {
  static constexpr int64_t kCount = 32 / sizeof(T);
  typedef T Vector __attribute__((vector_size(32)));
};

/// Element j of vector i becomes element i of vector j.
HEDDLE_INLINE void turnLanes(Lanes<uint32_t>::Vector* v) {
  typedef Lanes<uint32_t>::Vector V;
  V pairs[8], fours[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = __builtin_shufflevector(v[i], v[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(v[i], v[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
      fours[i + 2 * k] = __builtin_shufflevector(pairs[i + k], pairs[i + k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      fours[i + 2 * k + 1] = __builtin_shufflevector(pairs[i + k], pairs[i + k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    v[i] = __builtin_shufflevector(fours[i], fours[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    v[i + 4] = __builtin_shufflevector(fours[i], fours[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}
HEDDLE_INLINE void turnLanes(Lanes<uint64_t>::Vector* v) {
  typedef Lanes<uint64_t>::Vector V;
  V pairs[4];
#pragma GCC unroll 2
  for (int i = 0; i < 4; i += 2) {
    pairs[i] = __builtin_shufflevector(v[i], v[i + 1], 0, 4, 2, 6);
    pairs[i + 1] = __builtin_shufflevector(v[i], v[i + 1], 1, 5, 3, 7);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    v[i] = __builtin_shufflevector(pairs[i], pairs[i + 2], 0, 1, 4, 5);
    v[i + 2] = __builtin_shufflevector(pairs[i], pairs[i + 2], 2, 3, 6, 7);
  }
}

/// A line of each of as many columns as a line has elements; `kStreams`: past the cache, into lines that are aligned.
template <bool kStreams, typename T>
HEDDLE_INLINE void turnLines(T* out, int64_t outRowStride, const T* in, int64_t columnStride) {
  typedef typename Lanes<T>::Vector V;
  constexpr int kLanes = Lanes<T>::kCount;
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    V v[2][kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < 2 * kLanes; i++)
      __builtin_memcpy(&v[i / kLanes][i % kLanes], in + i * columnStride + half * kLanes, sizeof(V));
    turnLanes(v[0]);
    turnLanes(v[1]);
#pragma GCC unroll 8
    for (int j = 0; j < kLanes; j++) {
      T* row = out + (half * kLanes + j) * outRowStride;
      if (kStreams) {
        typedef long long Line __attribute__((vector_size(32)));
        __builtin_ia32_movntdq256(reinterpret_cast<Line*>(row), reinterpret_cast<Line>(v[0][j]));
        __builtin_ia32_movntdq256(reinterpret_cast<Line*>(row + kLanes), reinterpret_cast<Line>(v[1][j]));
      } else {
        __builtin_memcpy(row, &v[0][j], sizeof(V));
        __builtin_memcpy(row + kLanes, &v[1][j], sizeof(V));
      }
    }
  }
}

#else

template <bool kStreams, typename T>
HEDDLE_INLINE void turnLines(T* out, int64_t outRowStride, const T* in, int64_t columnStride) {
  T tile[kLineOf<T>][kLineOf<T>];
  for (int64_t i = 0; i < kLineOf<T>; i++) __builtin_memcpy(tile[i], in + i * columnStride, sizeof tile[i]);
  for (int64_t j = 0; j < kLineOf<T>; j++)
    for (int64_t i = 0; i < kLineOf<T>; i++) out[j * outRowStride + i] = tile[i][j];
}

#endif

/// Some rows at a time, each written as far as it goes: memory takes long runs faster than it gives them.
template <bool kStreams, typename T>
HEDDLE_INLINE void turnAll(T* out, int64_t outRowStride, const T* in, int64_t columnStride, int64_t rows,
                           int64_t columns) {
  constexpr int64_t kLine = kLineOf<T>;
  int64_t r = 0;
  for (; r + kLine <= rows; r += kLine) {
    int64_t c = 0;
    for (; c + kLine <= columns; c += kLine) {
      // No processor foresees lines that lie this far apart. (Past the last row a prefetch is ignored.)
      for (int64_t i = 0; i < kLine; i++)
        __builtin_prefetch(reinterpret_cast<const void*>(
            reinterpret_cast<uintptr_t>(in) + static_cast<uintptr_t>((c + i) * columnStride + r + kLine) * sizeof(T)));
      turnLines<kStreams>(out + r * outRowStride + c, outRowStride, in + c * columnStride + r, columnStride);
    }
    for (; c < columns; c++)
      for (int64_t j = r; j < r + kLine; j++) out[j * outRowStride + c] = in[c * columnStride + j];
  }
  for (; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) out[r * outRowStride + c] = in[c * columnStride + r];
}

template <typename T>
void turn(void* to, int64_t outRowStride, const void* from, int64_t, int64_t columnStride, int64_t rows,
          int64_t columns) {
  turnAll<false>(static_cast<T*>(to), outRowStride, static_cast<const T*>(from), columnStride, rows, columns);
}

/// Results larger than the caches go past them, as their lines would else be fetched to be written.
template <typename T>
void turnPast(void* to, int64_t outRowStride, const void* from, int64_t rowStride, int64_t columnStride, int64_t rows,
              int64_t columns) {
#if defined(__AVX2__)
  if (reinterpret_cast<uintptr_t>(to) % 64 == 0 && outRowStride % kLineOf<T> == 0) {
    turnAll<true>(static_cast<T*>(to), outRowStride, static_cast<const T*>(from), columnStride, rows, columns);
    // Before another thread is told that this one is done.
    __builtin_ia32_sfence();
    return;
  }
#endif
  turn<T>(to, outRowStride, from, rowStride, columnStride, rows, columns);
}

}  // namespace

void addTurns(Loops& table) {
  table.turn[0][0] = turn<uint32_t>;
  table.turn[0][1] = turn<uint64_t>;
  table.turn[1][0] = turnPast<uint32_t>;
  table.turn[1][1] = turnPast<uint64_t>;
}

}  // namespace heddle::fused::HEDDLE_LEVEL
