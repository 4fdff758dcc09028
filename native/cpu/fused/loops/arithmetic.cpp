// Arithmetic loops: + - * / and their kin, rounding, square roots, maximum and minimum.
#include "apply.h"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

struct Neg {
  HEDDLE_INLINE float apply(float x) { return -x; }
  HEDDLE_INLINE double apply(double x) { return -x; }
  HEDDLE_INLINE int32_t apply(int32_t x) { return static_cast<int32_t>(0u - static_cast<uint32_t>(x)); }
  HEDDLE_INLINE int64_t apply(int64_t x) { return static_cast<int64_t>(uint64_t{0} - static_cast<uint64_t>(x)); }
};
struct Abs {
  HEDDLE_INLINE float apply(float x) { return __builtin_fabsf(x); }
  HEDDLE_INLINE double apply(double x) { return __builtin_fabs(x); }
  HEDDLE_INLINE int32_t apply(int32_t x) { return x < 0 ? Neg::apply(x) : x; }
  HEDDLE_INLINE int64_t apply(int64_t x) { return x < 0 ? Neg::apply(x) : x; }
};
struct Sign {
  template <typename T>
  HEDDLE_INLINE T apply(T x) {
    return x > T(0) ? T(1) : x < T(0) ? T(-1) : x == T(0) ? T(0) : x;  // NaN stays NaN
  }
};
struct Floor {
  HEDDLE_INLINE float apply(float x) { return __builtin_floorf(x); }
  HEDDLE_INLINE double apply(double x) { return __builtin_floor(x); }
};
struct Ceil {
  HEDDLE_INLINE float apply(float x) { return __builtin_ceilf(x); }
  HEDDLE_INLINE double apply(double x) { return __builtin_ceil(x); }
};
struct Round {  // halves to even, the processor's default mode
  HEDDLE_INLINE float apply(float x) { return __builtin_rintf(x); }
  HEDDLE_INLINE double apply(double x) { return __builtin_rint(x); }
};
struct Trunc {
  HEDDLE_INLINE float apply(float x) { return __builtin_truncf(x); }
  HEDDLE_INLINE double apply(double x) { return __builtin_trunc(x); }
};
struct Sqrt {
  HEDDLE_INLINE float apply(float x) { return __builtin_sqrtf(x); }
  HEDDLE_INLINE double apply(double x) { return __builtin_sqrt(x); }
};
struct Rsqrt {
  HEDDLE_INLINE float apply(float x) { return 1.0f / __builtin_sqrtf(x); }
  HEDDLE_INLINE double apply(double x) { return 1.0 / __builtin_sqrt(x); }
};
struct Reciprocal {
  template <typename T>
  HEDDLE_INLINE T apply(T x) {
    return T(1) / x;
  }
};

// Integers wrap, so they compute unsigned.
struct Add {
  HEDDLE_INLINE float apply(float a, float b) { return a + b; }
  HEDDLE_INLINE double apply(double a, double b) { return a + b; }
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) {
    return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
  }
  HEDDLE_INLINE int64_t apply(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};
struct Sub {
  HEDDLE_INLINE float apply(float a, float b) { return a - b; }
  HEDDLE_INLINE double apply(double a, double b) { return a - b; }
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) {
    return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b));
  }
  HEDDLE_INLINE int64_t apply(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }
};
struct Mul {
  HEDDLE_INLINE float apply(float a, float b) { return a * b; }
  HEDDLE_INLINE double apply(double a, double b) { return a * b; }
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) {
    return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b));
  }
  HEDDLE_INLINE int64_t apply(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};
struct Div {
  template <typename T>
  HEDDLE_INLINE T apply(T a, T b) {
    return a / b;
  }
};

// NaN in either operand gives NaN: the second is returned when it is one, for every comparison with it is false.
struct Max {
  template <typename T>
  HEDDLE_INLINE T apply(T a, T b) {
    return (a > b) | (a != a) ? a : b;
  }
};
struct Min {
  template <typename T>
  HEDDLE_INLINE T apply(T a, T b) {
    return (a < b) | (a != a) ? a : b;
  }
};

/// By squaring, wrapping; a negative exponent truncates the fraction 1 / base^|exponent| towards zero.
struct IntegerPower {
  template <typename T>
  HEDDLE_INLINE T apply(T base, T exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
    T result = 1;
    for (T left = exponent; left > 0; left >>= 1) {
      if (left & 1) result = Mul::apply(result, base);
      base = Mul::apply(base, base);
    }
    return result;
  }
};

template <typename F>
void unaryFloats(Loops& table, Opcode op) {
  addUnary<F, float, float>(table, op, RegisterClass::f32);
  addUnary<F, double, double>(table, op, RegisterClass::f64);
}
template <typename F>
void unaryNumbers(Loops& table, Opcode op) {
  unaryFloats<F>(table, op);
  addUnary<F, int32_t, int32_t>(table, op, RegisterClass::i32);
  addUnary<F, int64_t, int64_t>(table, op, RegisterClass::i64);
}
template <typename F>
void binaryNumbers(Loops& table, Opcode op) {
  addBinary<F, float, float>(table, op, RegisterClass::f32);
  addBinary<F, double, double>(table, op, RegisterClass::f64);
  addBinary<F, int32_t, int32_t>(table, op, RegisterClass::i32);
  addBinary<F, int64_t, int64_t>(table, op, RegisterClass::i64);
}

}  // namespace

void addArithmetic(Loops& table) {
  unaryNumbers<Neg>(table, Opcode::neg);
  unaryNumbers<Abs>(table, Opcode::abs);
  unaryNumbers<Sign>(table, Opcode::sign);
  unaryFloats<Floor>(table, Opcode::floor);
  unaryFloats<Ceil>(table, Opcode::ceil);
  unaryFloats<Round>(table, Opcode::round);
  unaryFloats<Trunc>(table, Opcode::trunc);
  unaryFloats<Sqrt>(table, Opcode::sqrt);
  unaryFloats<Rsqrt>(table, Opcode::rsqrt);
  unaryFloats<Reciprocal>(table, Opcode::reciprocal);
  binaryNumbers<Add>(table, Opcode::add);
  binaryNumbers<Sub>(table, Opcode::sub);
  binaryNumbers<Mul>(table, Opcode::mul);
  addBinary<Div, float, float>(table, Opcode::div, RegisterClass::f32);
  addBinary<Div, double, double>(table, Opcode::div, RegisterClass::f64);
  binaryNumbers<Max>(table, Opcode::max);
  binaryNumbers<Min>(table, Opcode::min);
  addBinary<Max, int32_t, int32_t>(table, Opcode::max, RegisterClass::bool_);
  addBinary<Min, int32_t, int32_t>(table, Opcode::min, RegisterClass::bool_);
  addBinary<IntegerPower, int32_t, int32_t>(table, Opcode::pow, RegisterClass::i32);
  addBinary<IntegerPower, int64_t, int64_t>(table, Opcode::pow, RegisterClass::i64);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
