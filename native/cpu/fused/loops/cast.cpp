// Cast loops: from a register's class to what a dtype holds. Floats saturate to integers (NaN gives 0), integers wrap.
#include "apply.h"
#include "half.h"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

/// `low` and `high` as T; `high` is the largest T not above the integer type's maximum.
template <typename I, typename T>
HEDDLE_INLINE I saturate(T x, T low, T high, I lowest, I highest) {
  const T safe = x >= low && x <= high ? x : T(0);  // false for NaN
  const I inside = static_cast<I>(safe);
  return x > high ? highest : x < low ? lowest : inside;
}

/// Where every integer of the range is a T, so that limits can be applied before the conversion; NaN gives 0.
template <typename T>
HEDDLE_INLINE int32_t saturateByte(T x, T low, T high) {
  const T number = x == x ? x : T(0);
  const T raised = number < low ? low : number;
  return static_cast<int32_t>(raised > high ? high : raised);
}

struct ToF32 {
  template <typename T>
  HEDDLE_INLINE float apply(T x) {
    return static_cast<float>(x);
  }
};
struct ToF64 {
  template <typename T>
  HEDDLE_INLINE double apply(T x) {
    return static_cast<double>(x);
  }
};
struct ToBf16 {
  template <typename T>
  HEDDLE_INLINE float apply(T x) {
    return bf16ToFloat(floatToBf16(static_cast<float>(x)));
  }
};
struct ToF16 {
  template <typename T>
  HEDDLE_INLINE float apply(T x) {
    return f16ToFloat(floatToF16(static_cast<float>(x)));
  }
};
struct ToI8 {
  HEDDLE_INLINE int32_t apply(float x) { return saturateByte(x, -128.0f, 127.0f); }
  HEDDLE_INLINE int32_t apply(double x) { return saturateByte(x, -128.0, 127.0); }
  HEDDLE_INLINE int32_t apply(int32_t x) { return static_cast<int8_t>(x); }
  HEDDLE_INLINE int32_t apply(int64_t x) { return static_cast<int8_t>(x); }
};
struct ToU8 {
  HEDDLE_INLINE int32_t apply(float x) { return saturateByte(x, 0.0f, 255.0f); }
  HEDDLE_INLINE int32_t apply(double x) { return saturateByte(x, 0.0, 255.0); }
  HEDDLE_INLINE int32_t apply(int32_t x) { return static_cast<uint8_t>(x); }
  HEDDLE_INLINE int32_t apply(int64_t x) { return static_cast<uint8_t>(x); }
};
struct ToI32 {
  HEDDLE_INLINE int32_t apply(float x) { return saturate<int32_t>(x, -0x1p31f, 2147483520.0f, INT32_MIN, INT32_MAX); }
  HEDDLE_INLINE int32_t apply(double x) {
    const double whole = __builtin_trunc(x);
    return saturate<int32_t>(whole, -0x1p31, 2147483647.0, INT32_MIN, INT32_MAX);
  }
  HEDDLE_INLINE int32_t apply(int32_t x) { return x; }
  HEDDLE_INLINE int32_t apply(int64_t x) { return static_cast<int32_t>(x); }
};
struct ToI64 {
  HEDDLE_INLINE int64_t apply(float x) {
    return saturate<int64_t>(x, -0x1p63f, 9223371487098961920.0f, INT64_MIN, INT64_MAX);
  }
  HEDDLE_INLINE int64_t apply(double x) {
    return saturate<int64_t>(x, -0x1p63, 9223372036854774784.0, INT64_MIN, INT64_MAX);
  }
  HEDDLE_INLINE int64_t apply(int32_t x) { return x; }
  HEDDLE_INLINE int64_t apply(int64_t x) { return x; }
};
struct ToBool {
  template <typename T>
  HEDDLE_INLINE int32_t apply(T x) {
    return x != T(0);
  }
};

template <typename F, typename R>
void addTo(Loops& table, DType target) {
  const int to = static_cast<int>(target);
  table.cast[static_cast<int>(RegisterClass::f32)][to] = applyUnary<F, float, R>;
  table.cast[static_cast<int>(RegisterClass::f64)][to] = applyUnary<F, double, R>;
  table.cast[static_cast<int>(RegisterClass::i32)][to] = applyUnary<F, int32_t, R>;
  table.cast[static_cast<int>(RegisterClass::i64)][to] = applyUnary<F, int64_t, R>;
  table.cast[static_cast<int>(RegisterClass::bool_)][to] = applyUnary<F, int32_t, R>;
}

}  // namespace

void addCasts(Loops& table) {
  addTo<ToF32, float>(table, DType::f32);
  addTo<ToF64, double>(table, DType::f64);
  addTo<ToBf16, float>(table, DType::bf16);
  addTo<ToF16, float>(table, DType::f16);
  addTo<ToI8, int32_t>(table, DType::i8);
  addTo<ToU8, int32_t>(table, DType::u8);
  addTo<ToI32, int32_t>(table, DType::i32);
  addTo<ToI64, int64_t>(table, DType::i64);
  addTo<ToBool, int32_t>(table, DType::bool_);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
