// Reduction loops: packed values into accumulators, along rows or along columns. The order of combination is fixed.
#include "apply.h"

// Vectors are passed between functions that are always inlined, so how a call would pass them does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

// GCC selects between vectors wider than registers element by element, and adds them part by part: extremes, which
// select and whose order does not matter, are taken in vectors of the level's width.
#if defined(__AVX512F__)
constexpr int kSelectedBytes = 64;
#elif defined(__AVX2__)
constexpr int kSelectedBytes = 32;
#else
constexpr int kSelectedBytes = 16;
#endif
constexpr int kAddedBytes = 64;

struct Sum {
  static constexpr int kBytes = kAddedBytes;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return a + b;
  }
  static constexpr double kIdentity = 0.0;
};
struct Prod {
  static constexpr int kBytes = kAddedBytes;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return a * b;
  }
  static constexpr double kIdentity = 1.0;
};
// A NaN on either side stays: `b` is taken when it is one, and nothing compares above or below an `a` that is one.
struct Max {
  static constexpr int kBytes = kSelectedBytes;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return (b > a) | (b != b) ? b : a;
  }
  static constexpr double kIdentity = -__builtin_inf();
};
struct Min {
  static constexpr int kBytes = kSelectedBytes;
  template <typename T>
  HEDDLE_INLINE T combine(T a, T b) {
    return (b < a) | (b != b) ? b : a;
  }
  static constexpr double kIdentity = __builtin_inf();
};

/// A vector of so many bytes; narrower levels split it. Loads need no alignment.
template <typename T, int kBytes>
struct Lanes {
  static constexpr int64_t kCount = kBytes / sizeof(T);
  typedef T Vector __attribute__((vector_size(kBytes)));
  typedef T Unaligned __attribute__((vector_size(kBytes), aligned(sizeof(T)), may_alias));
};

/// Four vectors side by side, then a tree.
template <typename F, typename T>
HEDDLE_INLINE T combineAll(const T* x, int64_t n) {
  using L = Lanes<T, F::kBytes>;
  using V = typename L::Vector;
  using U = typename L::Unaligned;
  constexpr int64_t kLanes = L::kCount;
  const T identity = static_cast<T>(F::kIdentity);
  int64_t i = 0;
  T result = identity;
  if (n >= kLanes) {
    V first = {};
    first += identity;
    V second = first;
    V third = first;
    V fourth = first;
    for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
      first = F::combine(first, V(*reinterpret_cast<const U*>(x + i)));
      second = F::combine(second, V(*reinterpret_cast<const U*>(x + i + kLanes)));
      third = F::combine(third, V(*reinterpret_cast<const U*>(x + i + 2 * kLanes)));
      fourth = F::combine(fourth, V(*reinterpret_cast<const U*>(x + i + 3 * kLanes)));
    }
    for (; i + kLanes <= n; i += kLanes) first = F::combine(first, V(*reinterpret_cast<const U*>(x + i)));
    const V both = F::combine(F::combine(first, second), F::combine(third, fourth));
    T lanes[kLanes];
    __builtin_memcpy(lanes, &both, sizeof both);
    for (int64_t half = kLanes / 2; half > 0; half /= 2)
      for (int64_t lane = 0; lane < half; lane++) lanes[lane] = F::combine(lanes[lane], lanes[lane + half]);
    result = lanes[0];
  }
  T rest = identity;
  for (; i < n; i++) rest = F::combine(rest, x[i]);
  return F::combine(result, rest);
}

template <typename F, typename T>
void floatRows(void* accumulators, const void* values, int64_t rows, int64_t columns) {
  double* total = static_cast<double*>(accumulators);
  const T* x = static_cast<const T*>(values);
  for (int64_t r = 0; r < rows; r++)
    total[r] = F::combine(total[r], static_cast<double>(combineAll<F, T>(x + r * columns, columns)));
}

/// Columns that divide a vector group: lane i of the flat walk belongs to column i % columns.
template <typename F>
void narrowColumns(double* total, const float* x, int64_t count, int64_t columns) {
  constexpr int64_t kGroup = 64;
  const float identity = static_cast<float>(F::kIdentity);
  float lanes[kGroup];
  for (int64_t lane = 0; lane < kGroup; lane++) lanes[lane] = identity;
  int64_t i = 0;
  for (; i + kGroup <= count; i += kGroup)
    for (int64_t lane = 0; lane < kGroup; lane++) lanes[lane] = F::combine(lanes[lane], x[i + lane]);
  for (int64_t lane = 0; i + lane < count; lane++) lanes[lane] = F::combine(lanes[lane], x[i + lane]);
  for (int64_t half = kGroup / 2; half >= columns; half /= 2)
    for (int64_t lane = 0; lane < half; lane++) lanes[lane] = F::combine(lanes[lane], lanes[lane + half]);
  for (int64_t c = 0; c < columns; c++) total[c] = F::combine(total[c], static_cast<double>(lanes[c]));
}

template <typename F, typename T>
void floatColumns(void* accumulators, const void* values, int64_t rows, int64_t columns) {
  double* total = static_cast<double*>(accumulators);
  const T* x = static_cast<const T*>(values);
  if constexpr (sizeof(T) == 4) {
    if (columns <= 64 && 64 % columns == 0 && rows > 1) return narrowColumns<F>(total, x, rows * columns, columns);
  }
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) total[c] = F::combine(total[c], static_cast<double>(x[r * columns + c]));
}

// Integers: unsigned where they wrap, since i64 accumulators cut to the result's width wrap like the width itself.
struct IntegerSum {
  HEDDLE_INLINE int64_t combine(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};
struct IntegerProd {
  HEDDLE_INLINE int64_t combine(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};
struct IntegerMax {
  HEDDLE_INLINE int64_t combine(int64_t a, int64_t b) { return a > b ? a : b; }
};
struct IntegerMin {
  HEDDLE_INLINE int64_t combine(int64_t a, int64_t b) { return a < b ? a : b; }
};

template <typename F, typename T>
void integerRows(void* accumulators, const void* values, int64_t rows, int64_t columns) {
  int64_t* total = static_cast<int64_t*>(accumulators);
  const T* x = static_cast<const T*>(values);
  for (int64_t r = 0; r < rows; r++) {
    int64_t result = total[r];
    for (int64_t c = 0; c < columns; c++) result = F::combine(result, x[r * columns + c]);
    total[r] = result;
  }
}
template <typename F, typename T>
void integerColumns(void* accumulators, const void* values, int64_t rows, int64_t columns) {
  int64_t* total = static_cast<int64_t*>(accumulators);
  const T* x = static_cast<const T*>(values);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) total[c] = F::combine(total[c], x[r * columns + c]);
}

template <typename F, typename Integer>
void add(Loops& table, Reduction reduction) {
  Reduce* rows = table.reduceRows[static_cast<int>(reduction)];
  Reduce* columns = table.reduceColumns[static_cast<int>(reduction)];
  rows[static_cast<int>(RegisterClass::f32)] = floatRows<F, float>;
  rows[static_cast<int>(RegisterClass::f64)] = floatRows<F, double>;
  rows[static_cast<int>(RegisterClass::i32)] = integerRows<Integer, int32_t>;
  rows[static_cast<int>(RegisterClass::i64)] = integerRows<Integer, int64_t>;
  rows[static_cast<int>(RegisterClass::bool_)] = integerRows<Integer, int32_t>;
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
