// Products of packed matrices by tiles in registers, and the packing; included once per instruction-set level.
//
// A side is packed into slivers: kPackedRows rows of a, or kPackedColumns columns of b, stored so that those of one k
// lie together. A tile is the product of one sliver of each (K. Goto and R. van de Geijn, "Anatomy of high-performance
// matrix multiplication", 2008; F. Van Zee and R. van de Geijn, "BLIS", 2015).

#include "activation_loops.h"

// The sums of a tile, one row of b and one factor of a fill the registers.
#if HEDDLE_VECTOR_BYTES == 64
constexpr int kPackedRows = 14, kPackedVectors = 2;
#elif HEDDLE_VECTOR_BYTES == 32
constexpr int kPackedRows = 6, kPackedVectors = 2;
#else
constexpr int kPackedRows = 4, kPackedVectors = 2;
#endif
// How far ahead of their use lines are asked for: of packed slivers, along rows, and in whole rows.
constexpr int kAheadPacked = 512, kAheadAlong = 256, kAheadRows = 16;
template <typename T>
constexpr int kPackedColumns = kPackedVectors * static_cast<int>(kLanes<T>);

/// The lane that lane `to` of exchange<kStep, kUpper> comes from; the second vector's follow the first's.
constexpr int exchangedLane(int lanes, int step, bool upper, int to) {
  // Neighbours of four lanes or more are interleaved in pairs, one instruction where a true exchange takes two; the
  // rows this leaves in another order are exchanged back by name.
  if (step == 1 && lanes % 4 == 0) return (to & 1) * lanes + (to & ~3) + (to & 3) / 2 + (upper ? 2 : 0);
  const int from = upper ? to | step : to & ~step;
  return (to & step ? lanes : 0) + from;
}
template <int kStep, bool kUpper, typename V, int... kLane>
HEDDLE_INLINE V exchange(V first, V second, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(first, second, exchangedLane(sizeof...(kLane), kStep, kUpper, kLane)...);
}

/// One step of a transposition: exchanges the blocks of kStep lanes that lie off the diagonal, as do all steps in turn.
template <int kStep, typename V, int kCount>
HEDDLE_INLINE void exchangeBlocks(V (&rows)[kCount]) {
  constexpr std::make_integer_sequence<int, kCount> lanes{};
#pragma GCC unroll 16
  for (int i = 0; i < kCount; i++)
    if (!(i & kStep)) {
      const V first = rows[i], second = rows[i + kStep];
      rows[i] = exchange<kStep, false>(first, second, lanes);
      rows[i + kStep] = exchange<kStep, true>(first, second, lanes);
    }
}

template <typename V, int kCount>
HEDDLE_INLINE void transposeLanes(V (&rows)[kCount]) {
  exchangeBlocks<1>(rows);
  if constexpr (kCount > 2) exchangeBlocks<2>(rows);
  if constexpr (kCount > 4) exchangeBlocks<4>(rows);
  if constexpr (kCount > 8) exchangeBlocks<8>(rows);
  if constexpr (kCount % 4 == 0)
#pragma GCC unroll 4
    for (int i = 0; i < kCount; i += 4) {
      const V row = rows[i + 1];
      rows[i + 1] = rows[i + 2];
      rows[i + 2] = row;
    }
}

/// One sliver, of which `count` rows (or columns) are there and the others zero: any strides, element by element.
template <typename T, int kWidth>
HEDDLE_INLINE void packElements(const T* from, int64_t across, int64_t along, int64_t count, int64_t first, int64_t k,
                                T* to) {
  for (int64_t p = first; p < k; p++)
    for (int64_t i = 0; i < kWidth; i++) to[p * kWidth + i] = i < count ? from[i * across + p * along] : T{0};
}

/// One whole sliver whose rows (or columns) lie along k: transposed block by block.
template <typename T, int kWidth>
HEDDLE_INLINE void packTransposed(const T* from, int64_t across, int64_t k, T* to) {
  constexpr int lanes = static_cast<int>(kLanes<T>), blocks = (kWidth + lanes - 1) / lanes;
  // Where the width is no whole number of vectors, a store reaches into the next k, which is written after it.
  constexpr int64_t ahead = kWidth % lanes ? 1 : 0;
  int64_t p = 0;
  for (; p + lanes + ahead <= k; p += lanes) {
    for (int i = 0; i < kWidth; i++) __builtin_prefetch(from + i * across + p + kAheadAlong / sizeof(T));
    Vector<T> rows[blocks][lanes];
#pragma GCC unroll 16
    for (int block = 0; block < blocks; block++) {
#pragma GCC unroll 16
      for (int i = 0; i < lanes; i++)
        rows[block][i] = block * lanes + i < kWidth ? loadVector(from + (block * lanes + i) * across + p) : Vector<T>{};
      transposeLanes(rows[block]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i++)
#pragma GCC unroll 16
      for (int block = 0; block < blocks; block++) storeVector(to + (p + i) * kWidth + block * lanes, rows[block][i]);
  }
  packElements<T, kWidth>(from, across, 1, kWidth, p, k, to);
}

/// Whole slivers side by side whose rows (or columns) of one k lie together.
template <typename T, int kWidth, int kSlivers>
HEDDLE_INLINE void packTogether(const T* from, int64_t along, int64_t k, T* to) {
  constexpr int lanes = static_cast<int>(kLanes<T>), vectors = kWidth / lanes, rest = kWidth % lanes;
  for (int64_t p = 0; p < k; p++) {
    for (int sliver = 0; sliver < kSlivers; sliver++)
      __builtin_prefetch(from + (p + kAheadRows) * along + sliver * kWidth);
#pragma GCC unroll 4
    for (int sliver = 0; sliver < kSlivers; sliver++) {
      const T* source = from + p * along + sliver * kWidth;
      T* target = to + sliver * k * kWidth + p * kWidth;
#pragma GCC unroll 4
      for (int i = 0; i < vectors; i++) storeVector(target + i * lanes, loadVector(source + i * lanes));
      if constexpr (rest > 0) __builtin_memcpy(target + vectors * lanes, source + vectors * lanes, rest * sizeof(T));
    }
  }
}

/// Packs `count` rows of a (or columns of b) into slivers; `across` is the stride between them, `along` that of k.
template <typename T, int kWidth>
void packSlivers(const T* from, int64_t across, int64_t along, int64_t count, int64_t k, T* to) {
  int64_t i = 0;
  if (across == 1) {
    // Wider reads of one k: fewer pages at a time.
    for (; i + 4 * kWidth <= count; i += 4 * kWidth) packTogether<T, kWidth, 4>(from + i, along, k, to + i * k);
    for (; i + kWidth <= count; i += kWidth) packTogether<T, kWidth, 1>(from + i, along, k, to + i * k);
  } else if (along == 1) {
    for (; i + kWidth <= count; i += kWidth) packTransposed<T, kWidth>(from + i * across, across, k, to + i * k);
  }
  for (; i < count; i += kWidth)
    packElements<T, kWidth>(from + i * across, across, along, count - i < kWidth ? count - i : kWidth, 0, k,
                            to + i * k);
}

/// Adds bias (may be null) to a tile and applies the activation.
template <typename T, Activation kind>
void finishTile(T* tile, int64_t stride, const T* bias, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    T* row = tile + i * stride;
    if constexpr (std::is_same_v<T, float>) {
      biasActivationRow<kind>(row, bias, columns);
    } else {
      for (int64_t j = 0; j < columns; j++) row[j] = activate(kind, bias ? row[j] + bias[j] : row[j]);
    }
  }
}

/// One tile: the product of two slivers over k, stored or added to `out`, of which `rows` by `columns` are there. Every
/// element is summed in the same order wherever it lies, so results do not depend on how the work is split.
template <typename T>
HEDDLE_INLINE void multiplyTilePacked(const T* a, const T* b, int64_t k, T* out, int64_t stride, int64_t rows,
                                      int64_t columns, bool accumulate) {
  typedef Vector<T> V;
  constexpr int64_t lanes = kLanes<T>;
  V sums[kPackedRows][kPackedVectors] = {};
#pragma GCC unroll 16
  for (int i = 0; i < kPackedRows; i++) __builtin_prefetch(out + (i < rows ? i : 0) * stride, 1);
#pragma GCC unroll 4
  for (int64_t p = 0; p < k; p++) {
    // Slivers of a come from the second-level cache.
    __builtin_prefetch(a + p * kPackedRows + kAheadPacked / sizeof(T));
    V row[kPackedVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kPackedVectors; j++) row[j] = loadVector(b + p * kPackedColumns<T> + j * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < kPackedRows; i++) {
      const V factor = broadcast<V>(a[p * kPackedRows + i]);
#pragma GCC unroll 4
      for (int j = 0; j < kPackedVectors; j++) sums[i][j] += factor * row[j];
    }
  }
  if (rows == kPackedRows && columns == kPackedColumns<T>) {
#pragma GCC unroll 16
    for (int i = 0; i < kPackedRows; i++)
#pragma GCC unroll 4
      for (int j = 0; j < kPackedVectors; j++) {
        T* at = out + i * stride + j * lanes;
        storeVector(at, accumulate ? loadVector(at) + sums[i][j] : sums[i][j]);
      }
    return;
  }
  T tile[kPackedRows][kPackedColumns<T>];
#pragma GCC unroll 16
  for (int i = 0; i < kPackedRows; i++)
#pragma GCC unroll 4
    for (int j = 0; j < kPackedVectors; j++) storeVector(tile[i] + j * lanes, sums[i][j]);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      out[i * stride + j] = accumulate ? out[i * stride + j] + tile[i][j] : tile[i][j];
}

/// out (+)= the product of packed rows and packed columns; `finish` (may be null) ends each tile while it is in cache.
/// The inner loop runs over slivers of a, so that one of b stays in the first-level cache.
template <typename T>
void multiplyPacked(const T* a, const T* b, int64_t k, T* out, int64_t stride, int64_t rows, int64_t columns,
                    bool accumulate, FinishTile<T> finish, const T* bias) {
  for (int64_t j = 0; j < columns; j += kPackedColumns<T>) {
    const int64_t width = columns - j < kPackedColumns<T> ? columns - j : kPackedColumns<T>;
    // The next sliver of b comes from the last-level cache: a share of it ahead of each tile.
    const auto* next = reinterpret_cast<const char*>(b + (j + kPackedColumns<T>)*k);
    const int64_t lines = k * kPackedColumns<T> * static_cast<int64_t>(sizeof(T)) / 64;
    const int64_t share = (lines * kPackedRows + rows - 1) / rows;
    for (int64_t i = 0; i < rows; i += kPackedRows) {
      const int64_t height = rows - i < kPackedRows ? rows - i : kPackedRows;
      T* tile = out + i * stride + j;
      for (int64_t line = i / kPackedRows * share; line < (i / kPackedRows + 1) * share; line++)
        __builtin_prefetch(next + line * 64, 0, 2);
      multiplyTilePacked<T>(a + i * k, b + j * k, k, tile, stride, height, width, accumulate);
      if (finish) finish(tile, stride, bias ? bias + j : nullptr, height, width);
    }
  }
}

template <typename T>
FinishTile<T> finishTileOf(Activation activation) {
  switch (activation) {
    case Activation::relu: return finishTile<T, Activation::relu>;
    case Activation::gelu: return finishTile<T, Activation::gelu>;
    case Activation::geluTanh: return finishTile<T, Activation::geluTanh>;
    case Activation::sigmoid: return finishTile<T, Activation::sigmoid>;
    case Activation::tanh: return finishTile<T, Activation::tanh>;
    case Activation::silu: return finishTile<T, Activation::silu>;
    case Activation::none:
    case Activation::count: break;
  }
  return finishTile<T, Activation::none>;
}

template <typename T>
PackedLoops<T> packedLoops(Activation activation) {
  return {kPackedRows,       kPackedColumns<T>,          packSlivers<T, kPackedRows>, packSlivers<T, kPackedColumns<T>>,
          multiplyPacked<T>, finishTileOf<T>(activation)};
}
