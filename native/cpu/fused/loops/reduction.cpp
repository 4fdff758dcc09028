// Reduction loops: packed values into accumulators, along rows or along columns. The order of combination is fixed.
#include "../../narrow_columns.h"
#include "apply.h"

// Vectors are passed between functions that are always inlined, so how a call would pass them does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

#include "../../page_ahead.h"

constexpr int kVectorBytes = HEDDLE_VECTOR_BYTES;

// Sums are taken in groups of lanes that are the same at every level, for their order to be. GCC takes vectors wider
// than registers apart element by element, so a group is as many vectors as it takes. The order of extremes does not
// matter.
constexpr int kGroupBytes = 64;

/// A vector as wide as the level's registers. Loads need no alignment.
template <typename T>
struct Lanes {
  static constexpr int64_t kCount = kVectorBytes / sizeof(T);
  typedef T Vector __attribute__((vector_size(kVectorBytes)));
  typedef T Unaligned __attribute__((vector_size(kVectorBytes), aligned(sizeof(T)), may_alias));
};

struct Sum {
  static constexpr int kParts = kGroupBytes / kVectorBytes;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return a + b;
  }
  static constexpr double kIdentity = 0.0;
};
struct Prod {
  static constexpr int kParts = kGroupBytes / kVectorBytes;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return a * b;
  }
  static constexpr double kIdentity = 1.0;
};
// A NaN on either side stays: `b` is taken when it is one, and nothing compares above or below an `a` that is one.
struct Max {
  static constexpr int kParts = 1;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return (b > a) | (b != b) ? b : a;
  }
  static constexpr double kIdentity = -__builtin_inf();
};
struct Min {
  static constexpr int kParts = 1;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return (b < a) | (b != b) ? b : a;
  }
  static constexpr double kIdentity = __builtin_inf();
};

/// Four groups side by side, or in four parts of what is long, then a tree.
template <typename F, typename T>
HEDDLE_INLINE T combineAll(const T* x, int64_t n) {
  using V = typename Lanes<T>::Vector;
  using U = typename Lanes<T>::Unaligned;
  constexpr int64_t kLanes = Lanes<T>::kCount;
  constexpr int kParts = F::kParts;
  constexpr int64_t kGroup = kParts * kLanes;
  const T identity = static_cast<T>(F::kIdentity);
  int64_t i = 0;
  T result = identity;
  if (n >= kGroup) {
    V total[4 * kParts] = {};
#pragma GCC unroll 16
    for (int part = 0; part < 4 * kParts; part++) total[part] += identity;
    const bool streams = n * static_cast<int64_t>(sizeof(T)) >= kLeastOfStreams;
    const int64_t apart = streams ? n / (4 * kGroup) * kGroup : kGroup, step = streams ? kGroup : 4 * kGroup;
    const int64_t end = streams ? apart : n / (4 * kGroup) * (4 * kGroup);
    for (; i < end; i += step) {
      if (!streams)
#pragma GCC unroll 4
        for (int64_t line = 0; line < 4; line++) fetchPageAhead(x + i + line * kGroup);
#pragma GCC unroll 16
      for (int part = 0; part < 4 * kParts; part++)
        total[part] = F::combine(
            total[part], V(*reinterpret_cast<const U*>(x + i + (part / kParts) * apart + (part % kParts) * kLanes)));
    }
    i = n / (4 * kGroup) * (4 * kGroup);
    for (; i + kGroup <= n; i += kGroup)
#pragma GCC unroll 4
      for (int part = 0; part < kParts; part++)
        total[part] = F::combine(total[part], V(*reinterpret_cast<const U*>(x + i + part * kLanes)));
    T lanes[kGroup];
#pragma GCC unroll 4
    for (int part = 0; part < kParts; part++) {
      const V sum = F::combine(F::combine(total[part], total[part + kParts]),
                               F::combine(total[part + 2 * kParts], total[part + 3 * kParts]));
      __builtin_memcpy(lanes + part * kLanes, &sum, sizeof sum);
    }
    for (int64_t half = kGroup / 2; half > 0; half /= 2)
      for (int64_t lane = 0; lane < half; lane++) lanes[lane] = F::combine(lanes[lane], lanes[lane + half]);
    result = lanes[0];
  }
  T rest = identity;
  for (; i < n; i++) rest = F::combine(rest, x[i]);
  return F::combine(result, rest);
}

/// What values of T are reduced in: f64, or T where the result is one of them.
template <typename F, typename T>
struct Accumulator {
  typedef double type;
};
template <typename T>
struct Accumulator<Max, T> {
  typedef T type;
};
template <typename T>
struct Accumulator<Min, T> {
  typedef T type;
};

template <typename F, typename T>
void floatRows(void* accumulators, const void* values, int64_t rows, int64_t columns, int64_t rowStride) {
  typedef typename Accumulator<F, T>::type A;
  A* total = static_cast<A*>(accumulators);
  const T* x = static_cast<const T*>(values);
  for (int64_t r = 0; r < rows; r++)
    total[r] = F::combine(total[r], static_cast<A>(combineAll<F, T>(x + r * rowStride, columns)));
}

/// Few columns, as a flat walk: a lane belongs to column lane % columns. There are as many lanes as whole rows that are
/// whole vectors at every level take.
template <typename F, typename T, typename A>
void narrowColumns(A* total, const T* x, int64_t count, int64_t columns) {
  T lanes[kMostNarrow * kVectorRows];
  int64_t group = columns;
  while (group < kMostNarrow || group % kVectorRows != 0) group *= 2;
  for (int64_t lane = 0; lane < group; lane++) lanes[lane] = static_cast<T>(F::kIdentity);
  int64_t i = 0;
  for (; i + group <= count; i += group)
    for (int64_t lane = 0; lane < group; lane++) lanes[lane] = F::combine(lanes[lane], x[i + lane]);
  for (int64_t lane = 0; i + lane < count; lane++) lanes[lane] = F::combine(lanes[lane], x[i + lane]);
  for (int64_t half = group / 2; half >= columns; half /= 2)
    for (int64_t lane = 0; lane < half; lane++) lanes[lane] = F::combine(lanes[lane], lanes[lane + half]);
  for (int64_t c = 0; c < columns; c++) total[c] = F::combine(total[c], static_cast<A>(lanes[c]));
}

/// As many values as a vector has accumulators.
template <typename T, typename A>
struct Values {
  static constexpr int64_t kCount = Lanes<A>::kCount;
  typedef T Vector __attribute__((vector_size(kCount * sizeof(T))));
  typedef T Unaligned __attribute__((vector_size(kCount * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <typename A, typename T>
HEDDLE_INLINE typename Lanes<A>::Vector loadAs(const T* from) {
  const typename Values<T, A>::Vector values = *reinterpret_cast<const typename Values<T, A>::Unaligned*>(from);
  typename Lanes<A>::Vector wide;
  for (int64_t lane = 0; lane < Values<T, A>::kCount; lane++) wide[lane] = values[lane];  // one conversion
  return wide;
}

// So many rows are combined before an accumulator is written again.
constexpr int64_t kRowsTogether = 4;

/// Each accumulator takes the rows in their order.
template <typename F, int64_t kRows, typename T, typename A>
HEDDLE_INLINE void combineRows(A* total, const T* x, int64_t columns, int64_t rowStride) {
  constexpr int64_t kLine = 64 / sizeof(T);
  constexpr int64_t kLanes = Lanes<A>::kCount;
  int64_t c = 0;
  for (; c + kLine <= columns; c += kLine) {
    // Rows side by side are more streams than a processor foresees. (Behind the last row a prefetch is ignored.)
    if (kRows > 1)
#pragma GCC unroll 4
      for (int64_t r = 0; r < kRows; r++)
        __builtin_prefetch(reinterpret_cast<const void*>(
            reinterpret_cast<uintptr_t>(x) + static_cast<uintptr_t>((kRows + r) * rowStride + c) * sizeof(T)));
#pragma GCC unroll 8
    for (int64_t part = 0; part < kLine; part += kLanes) {
      auto& place = *reinterpret_cast<typename Lanes<A>::Unaligned*>(total + c + part);
      typename Lanes<A>::Vector result = place;
#pragma GCC unroll 4
      for (int64_t r = 0; r < kRows; r++) result = F::combine(result, loadAs<A>(x + r * rowStride + c + part));
      place = result;
    }
  }
  for (; c < columns; c++)
    for (int64_t r = 0; r < kRows; r++) total[c] = F::combine(total[c], static_cast<A>(x[r * rowStride + c]));
}

template <typename F, typename T>
void floatColumns(void* accumulators, const void* values, int64_t rows, int64_t columns, int64_t rowStride) {
  typedef typename Accumulator<F, T>::type A;
  A* total = static_cast<A*>(accumulators);
  const T* x = static_cast<const T*>(values);
  if (columns <= kMostNarrow && rows > 1 && rowStride == columns)
    return narrowColumns<F, T>(total, x, rows * columns, columns);
  int64_t r = 0;
  for (; r + kRowsTogether <= rows; r += kRowsTogether)
    combineRows<F, kRowsTogether>(total, x + r * rowStride, columns, rowStride);
  for (; r < rows; r++) combineRows<F, 1>(total, x + r * rowStride, columns, rowStride);
}

// Integers: unsigned where they wrap, since i64 accumulators cut to the result's width wrap like the width itself. For
// the same reason values of 32 bits are combined as `Narrow`.
struct IntegerSum {
  using Narrow = uint32_t;
  static constexpr Narrow kIdentity = 0;
  HEDDLE_INLINE uint32_t combine(uint32_t a, uint32_t b) { return a + b; }
  HEDDLE_INLINE int64_t combine(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};
struct IntegerProd {
  using Narrow = uint32_t;
  static constexpr Narrow kIdentity = 1;
  HEDDLE_INLINE uint32_t combine(uint32_t a, uint32_t b) { return a * b; }
  HEDDLE_INLINE int64_t combine(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};
struct IntegerMax {
  using Narrow = int32_t;
  static constexpr Narrow kIdentity = INT32_MIN;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return a > b ? a : b;
  }
};
struct IntegerMin {
  using Narrow = int32_t;
  static constexpr Narrow kIdentity = INT32_MAX;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return a < b ? a : b;
  }
};

template <typename F>
void narrowRows(void* accumulators, const void* values, int64_t rows, int64_t columns, int64_t rowStride) {
  using Narrow = typename F::Narrow;
  int64_t* total = static_cast<int64_t*>(accumulators);
  const Narrow* x = static_cast<const Narrow*>(values);
  for (int64_t r = 0; r < rows; r++) {
    Narrow result = F::kIdentity;
    for (int64_t c = 0; c < columns; c++) result = F::combine(result, x[r * rowStride + c]);
    total[r] = F::combine(total[r], static_cast<int64_t>(result));
  }
}
template <typename F>
void wideRows(void* accumulators, const void* values, int64_t rows, int64_t columns, int64_t rowStride) {
  int64_t* total = static_cast<int64_t*>(accumulators);
  const int64_t* x = static_cast<const int64_t*>(values);
  for (int64_t r = 0; r < rows; r++) {
    int64_t result = total[r];
    for (int64_t c = 0; c < columns; c++) result = F::combine(result, x[r * rowStride + c]);
    total[r] = result;
  }
}
template <typename F, typename T>
void integerColumns(void* accumulators, const void* values, int64_t rows, int64_t columns, int64_t rowStride) {
  int64_t* total = static_cast<int64_t*>(accumulators);
  const T* x = static_cast<const T*>(values);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) total[c] = F::combine(total[c], static_cast<int64_t>(x[r * rowStride + c]));
}

template <typename F, typename Integer>
void add(Loops& table, Reduction reduction) {
  Reduce* rows = table.reduceRows[static_cast<int>(reduction)];
  Reduce* columns = table.reduceColumns[static_cast<int>(reduction)];
  rows[static_cast<int>(RegisterClass::f32)] = floatRows<F, float>;
  rows[static_cast<int>(RegisterClass::f64)] = floatRows<F, double>;
  rows[static_cast<int>(RegisterClass::i32)] = narrowRows<Integer>;
  rows[static_cast<int>(RegisterClass::i64)] = wideRows<Integer>;
  rows[static_cast<int>(RegisterClass::bool_)] = narrowRows<Integer>;
  columns[static_cast<int>(RegisterClass::f32)] = floatColumns<F, float>;
  columns[static_cast<int>(RegisterClass::f64)] = floatColumns<F, double>;
  columns[static_cast<int>(RegisterClass::i32)] = integerColumns<Integer, int32_t>;
  columns[static_cast<int>(RegisterClass::i64)] = integerColumns<Integer, int64_t>;
  columns[static_cast<int>(RegisterClass::bool_)] = integerColumns<Integer, int32_t>;
}

}  // namespace

void addReductions(Loops& table) {
  add<Sum, IntegerSum>(table, Reduction::sum);
  add<Prod, IntegerProd>(table, Reduction::prod);
  add<Max, IntegerMax>(table, Reduction::max);
  add<Min, IntegerMin>(table, Reduction::min);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
