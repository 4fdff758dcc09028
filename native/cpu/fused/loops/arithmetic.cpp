// Arithmetic loops: + - * / and their kin, rounding, square roots, floor division, maximum and minimum.
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

// The quotient of the lowest integer by -1 does not fit and would trap; negation wraps instead.
template <typename T>
HEDDLE_INLINE T floorQuotient(T a, T b) {
  if (b == 0) return 0;
  if (b == -1) return Neg::apply(a);
  const T quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)) ? 1 : 0);
}
template <typename T>
HEDDLE_INLINE T signedRemainder(T a, T b) {
  if (b == 0 || b == -1) return 0;
  const T rest = a % b;
  return rest + (rest != 0 && ((rest < 0) != (b < 0)) ? b : 0);
}
HEDDLE_INLINE double remainder(double a, double b) { return fmod(a, b); }
HEDDLE_INLINE float remainder(float a, float b) { return fmodf(a, b); }

/// Python's: the sign of the divisor; a zero has it too.
template <typename T>
HEDDLE_INLINE T floatRemainder(T a, T b) {
  const T rest = remainder(a, b);
  if (rest == T(0)) return static_cast<T>(__builtin_copysign(0.0, static_cast<double>(b)));
  return (rest < T(0)) != (b < T(0)) ? rest + b : rest;
}
/// Python's: exact where a / b would round up to the next integer.
template <typename T>
HEDDLE_INLINE T floatFloorQuotient(T a, T b) {
  if (b == T(0)) return a / b;
  T rest = remainder(a, b);
  T quotient = (a - rest) / b;
  if (rest != T(0) && (rest < T(0)) != (b < T(0))) quotient -= T(1);
  if (quotient == T(0)) return static_cast<T>(__builtin_copysign(0.0, static_cast<double>(a / b)));
  const T down = static_cast<T>(__builtin_floor(static_cast<double>(quotient)));
  return quotient - down > T(0.5) ? down + T(1) : down;
}
struct FloorDiv {
  HEDDLE_INLINE float apply(float a, float b) { return floatFloorQuotient(a, b); }
  HEDDLE_INLINE double apply(double a, double b) { return floatFloorQuotient(a, b); }
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) { return floorQuotient(a, b); }
  HEDDLE_INLINE int64_t apply(int64_t a, int64_t b) { return floorQuotient(a, b); }
};
struct Mod {
  HEDDLE_INLINE float apply(float a, float b) { return floatRemainder(a, b); }
  HEDDLE_INLINE double apply(double a, double b) { return floatRemainder(a, b); }
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) { return signedRemainder(a, b); }
  HEDDLE_INLINE int64_t apply(int64_t a, int64_t b) { return signedRemainder(a, b); }
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
  binaryNumbers<FloorDiv>(table, Opcode::floorDiv);
  binaryNumbers<Mod>(table, Opcode::mod);
  binaryNumbers<Max>(table, Opcode::max);
  binaryNumbers<Min>(table, Opcode::min);
  addBinary<Max, int32_t, int32_t>(table, Opcode::max, RegisterClass::bool_);
  addBinary<Min, int32_t, int32_t>(table, Opcode::min, RegisterClass::bool_);
  addBinary<IntegerPower, int32_t, int32_t>(table, Opcode::pow, RegisterClass::i32);
  addBinary<IntegerPower, int64_t, int64_t>(table, Opcode::pow, RegisterClass::i64);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
