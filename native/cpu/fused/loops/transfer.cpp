// Loops between memory and registers: packed loads and stores of windows with any strides, conversions included.
#include <type_traits>

#include "apply.h"
#include "half.h"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

#include "../../stream_loops.h"

template <typename T>
struct Same {
  using Memory = T;
  using Register = T;
  HEDDLE_INLINE T load(T x) { return x; }
  HEDDLE_INLINE T store(T x) { return x; }
};
struct Bf16 {
  using Memory = uint16_t;
  using Register = float;
  HEDDLE_INLINE float load(uint16_t x) { return bf16ToFloat(x); }
  HEDDLE_INLINE uint16_t store(float x) { return floatToBf16(x); }
};
struct F16 {
  using Memory = uint16_t;
  using Register = float;
  HEDDLE_INLINE float load(uint16_t x) { return f16ToFloat(x); }
  HEDDLE_INLINE uint16_t store(float x) { return floatToF16(x); }
};
template <typename T>
struct Narrow {
  using Memory = T;
  using Register = int32_t;
  HEDDLE_INLINE int32_t load(T x) { return x; }
  HEDDLE_INLINE T store(int32_t x) { return static_cast<T>(x); }
};
struct Bool {
  using Memory = uint8_t;
  using Register = int32_t;
  HEDDLE_INLINE int32_t load(uint8_t x) { return x != 0; }
  HEDDLE_INLINE uint8_t store(int32_t x) { return static_cast<uint8_t>(x); }
};

/// Reads whole cache lines along the strided axis of `in`, eight neighbouring lines of it at a time: each of them lies
/// in a page of its own where the stride is large, and is asked for once.
template <typename F>
void loadTransposed(typename F::Register* out, int64_t outRowStride, const typename F::Memory* in, int64_t columnStride,
                    int64_t rows, int64_t columns) {
  using M = typename F::Memory;
  using R = typename F::Register;
  constexpr int64_t kLine = 64 / sizeof(M);
  int64_t c = 0;
  for (; c + 8 <= columns; c += 8) {
    int64_t r = 0;
    for (; r + kLine <= rows; r += kLine) {
      R tile[8][kLine];
      // No processor foresees lines that lie this far apart. (Past the last column a prefetch is ignored.)
      for (int64_t i = 8; i < 16; i++)
        __builtin_prefetch(reinterpret_cast<const void*>(
            reinterpret_cast<uintptr_t>(in) + static_cast<uintptr_t>((c + i) * columnStride + r) * sizeof(M)));
      for (int64_t i = 0; i < 8; i++)
        for (int64_t j = 0; j < kLine; j++) tile[i][j] = F::load(in[(c + i) * columnStride + r + j]);
      for (int64_t j = 0; j < kLine; j++)
        for (int64_t i = 0; i < 8; i++) out[(r + j) * outRowStride + c + i] = tile[i][j];
    }
    for (; r < rows; r++)
      for (int64_t i = 0; i < 8; i++) out[r * outRowStride + c + i] = F::load(in[(c + i) * columnStride + r]);
  }
  for (; c < columns; c++)
    for (int64_t r = 0; r < rows; r++) out[r * outRowStride + c] = F::load(in[c * columnStride + r]);
}

template <typename R, int64_t kWidth>
struct Part {
  typedef R type __attribute__((vector_size(kWidth * sizeof(R))));
};

/// Writes rows of at most `kWidth` columns that lie behind one another, kWidth at a time: each reaches into the next
/// one, which is written after it. `fill(r, part)` gives a row, columns behind its end included. Returns how many rows;
/// the last would reach too far.
template <int64_t kWidth, typename R, typename Fill>
HEDDLE_INLINE int64_t writeRowsOf(R* out, int64_t rows, int64_t columns, Fill fill) {
  int64_t r = 0;
  for (; r * columns + kWidth <= rows * columns; r++) {
    typename Part<R, kWidth>::type part;
    fill(r, part);
    __builtin_memcpy(out + r * columns, &part, sizeof part);
  }
  return r;
}

template <typename R>
constexpr int64_t kLineOf = 64 / sizeof(R);

/// The same for rows that are shorter than a cache line, of which a vectorised loop along them would leave most to its
/// end; 0 for others.
template <typename R, typename Fill>
HEDDLE_INLINE int64_t writeShortRows(R* out, int64_t rows, int64_t columns, Fill fill) {
  if (columns == 0 || columns > kLineOf<R>) return 0;
  return columns <= kLineOf<R> / 2 ? writeRowsOf<kLineOf<R> / 2>(out, rows, columns, fill)
                                   : writeRowsOf<kLineOf<R>>(out, rows, columns, fill);
}

template <typename F>
void load(void* to, int64_t outRowStride, const void* from, int64_t rowStride, int64_t columnStride, int64_t rows,
          int64_t columns) {
  using M = typename F::Memory;
  using R = typename F::Register;
  R* out = static_cast<R*>(to);
  const M* in = static_cast<const M*>(from);
  if (outRowStride == columns && rowStride == columns * columnStride) {
    columns *= rows;
    rows = 1;
  }
  if (rowStride == 1 && columnStride != 1 && columnStride != 0 && rows >= 8)
    return loadTransposed<F>(out, outRowStride, in, columnStride, rows, columns);
  int64_t first = 0;
  if (columnStride == 0 && outRowStride == columns)
    first = writeShortRows(out, rows, columns, [&](int64_t r, auto& part) {
      part = F::load(in[r * rowStride]) - std::remove_reference_t<decltype(part)>{};
    });
  for (int64_t r = first; r < rows; r++) {
    R* y = out + r * outRowStride;
    const M* x = in + r * rowStride;
    if (columnStride == 1) {
#pragma GCC ivdep
      for (int64_t c = 0; c < columns; c++) y[c] = F::load(x[c]);
    } else if (columnStride == 0) {
      const R value = F::load(x[0]);
      for (int64_t c = 0; c < columns; c++) y[c] = value;
    } else if (columnStride == 2) {
      // Strides that are known make vectors of it.
#pragma GCC ivdep
      for (int64_t c = 0; c < columns; c++) y[c] = F::load(x[c * 2]);
    } else if (columnStride == -1) {
#pragma GCC ivdep
      for (int64_t c = 0; c < columns; c++) y[c] = F::load(x[-c]);
    } else {
      for (int64_t c = 0; c < columns; c++) y[c] = F::load(x[c * columnStride]);
    }
  }
}

template <typename F>
void store(void* to, int64_t rowStride, int64_t columnStride, const void* from, int64_t rows, int64_t columns) {
  using M = typename F::Memory;
  using R = typename F::Register;
  M* out = static_cast<M*>(to);
  const R* in = static_cast<const R*>(from);
  if (rowStride == columns * columnStride) {
    columns *= rows;
    rows = 1;
  }
  for (int64_t r = 0; r < rows; r++) {
    M* y = out + r * rowStride;
    const R* x = in + r * columns;
    if (columnStride == 1) {
#pragma GCC ivdep
      for (int64_t c = 0; c < columns; c++) y[c] = F::store(x[c]);
    } else {
      for (int64_t c = 0; c < columns; c++) y[c * columnStride] = F::store(x[c]);
    }
  }
}

void stream(char* out, const char* in, int64_t bytes, const char* const* ahead, int64_t aheadCount) {
  streamBytes(out, in, bytes, ahead, aheadCount);
}
void endStreams() { streamEnd(); }

template <typename T>
void count(void* to, int64_t start, int64_t rowStride, int64_t columnStride, int64_t rows, int64_t columns) {
  T* out = static_cast<T*>(to);
  int64_t written = 0;
  if (rowStride == 0) {
    T row[kLineOf<T>];
    for (int64_t c = 0; c < kLineOf<T>; c++) row[c] = static_cast<T>(start + c * columnStride);
    written =
        writeShortRows(out, rows, columns, [&](int64_t, auto& part) { __builtin_memcpy(&part, row, sizeof part); });
  }
  for (int64_t r = written; r < rows; r++) {
    const int64_t first = start + r * rowStride;
    T* y = out + r * columns;
    for (int64_t c = 0; c < columns; c++) y[c] = static_cast<T>(first + c * columnStride);
  }
}

template <typename F>
void add(Loops& table, DType dtype) {
  table.load[static_cast<int>(dtype)] = load<F>;
  table.store[static_cast<int>(dtype)] = store<F>;
}
template <typename T>
void addMove(Loops& table, int size) {
  table.move[size] = load<Same<T>>;
  table.moveOut[size] = store<Same<T>>;
}

}  // namespace

void addTransfers(Loops& table) {
  add<Same<float>>(table, DType::f32);
  add<Same<double>>(table, DType::f64);
  add<Bf16>(table, DType::bf16);
  add<F16>(table, DType::f16);
  add<Narrow<int8_t>>(table, DType::i8);
  add<Narrow<uint8_t>>(table, DType::u8);
  add<Same<int32_t>>(table, DType::i32);
  add<Same<int64_t>>(table, DType::i64);
  add<Bool>(table, DType::bool_);
  addMove<uint8_t>(table, 0);
  addMove<uint16_t>(table, 1);
  addMove<uint32_t>(table, 2);
  addMove<uint64_t>(table, 3);
  table.stream = stream;
  table.streamEnd = endStreams;
  table.count[static_cast<int>(RegisterClass::f32)] = count<float>;
  table.count[static_cast<int>(RegisterClass::f64)] = count<double>;
  table.count[static_cast<int>(RegisterClass::i32)] = count<int32_t>;
  table.count[static_cast<int>(RegisterClass::i64)] = count<int64_t>;
}

}  // namespace heddle::fused::HEDDLE_LEVEL
