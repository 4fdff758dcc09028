// The opcodes of fused programs that are no function of CUDA's: integers wrap, quotients floor, casts saturate.
// Includes nothing of the host, for generated sources include it too.
#pragma once

#include "scalar.h"

namespace heddle::cuda {

// Integers compute unsigned where they may wrap: a signed overflow has no meaning.
__device__ inline int negate(int x) { return static_cast<int>(0u - static_cast<unsigned>(x)); }
__device__ inline long long negate(long long x) {
  return static_cast<long long>(0ull - static_cast<unsigned long long>(x));
}
template <typename T>
__device__ inline T absolute(T x) {
  return x < 0 ? negate(x) : x;
}
/// NaN stays NaN.
template <typename T>
__device__ inline T signOf(T x) {
  return x > T(0) ? T(1) : x < T(0) ? T(-1) : x == T(0) ? T(0) : x;
}

__device__ inline float add(float a, float b) { return a + b; }
__device__ inline double add(double a, double b) { return a + b; }
__device__ inline int add(int a, int b) {
  return static_cast<int>(static_cast<unsigned>(a) + static_cast<unsigned>(b));
}
__device__ inline long long add(long long a, long long b) {
  return static_cast<long long>(static_cast<unsigned long long>(a) + static_cast<unsigned long long>(b));
}
__device__ inline float subtract(float a, float b) { return a - b; }
__device__ inline double subtract(double a, double b) { return a - b; }
__device__ inline int subtract(int a, int b) {
  return static_cast<int>(static_cast<unsigned>(a) - static_cast<unsigned>(b));
}
__device__ inline long long subtract(long long a, long long b) {
  return static_cast<long long>(static_cast<unsigned long long>(a) - static_cast<unsigned long long>(b));
}
__device__ inline float multiply(float a, float b) { return a * b; }
__device__ inline double multiply(double a, double b) { return a * b; }
__device__ inline int multiply(int a, int b) {
  return static_cast<int>(static_cast<unsigned>(a) * static_cast<unsigned>(b));
}
__device__ inline long long multiply(long long a, long long b) {
  return static_cast<long long>(static_cast<unsigned long long>(a) * static_cast<unsigned long long>(b));
}

// The second operand is returned where it is NaN, for every comparison with it is false.
template <typename T>
__device__ inline T maximum(T a, T b) {
  return (a > b) | (a != a) ? a : b;
}
template <typename T>
__device__ inline T minimum(T a, T b) {
  return (a < b) | (a != a) ? a : b;
}

struct Added {
  template <typename T>
  __device__ static T combine(T a, T b) {
    return add(a, b);
  }
};
struct Multiplied {
  template <typename T>
  __device__ static T combine(T a, T b) {
    return multiply(a, b);
  }
};
struct Largest {
  template <typename T>
  __device__ static T combine(T a, T b) {
    return maximum(a, b);
  }
};
struct Smallest {
  template <typename T>
  __device__ static T combine(T a, T b) {
    return minimum(a, b);
  }
};

/// Python's: rounded down; 0 for a divisor of 0. The lowest integer by -1 does not fit and wraps, as negation does.
template <typename T>
__device__ inline T floorQuotientOfIntegers(T a, T b) {
  if (b == 0) return 0;
  if (b == -1) return negate(a);
  const T quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}
template <typename T>
__device__ inline T floorRemainderOfIntegers(T a, T b) {
  if (b == 0 || b == -1) return 0;
  const T rest = a % b;
  return rest + (rest != 0 && (rest < 0) != (b < 0) ? b : 0);
}
__device__ inline float exactRemainder(float a, float b) { return fmodf(a, b); }
__device__ inline double exactRemainder(double a, double b) { return fmod(a, b); }
__device__ inline float zeroLike(float x) { return copysignf(0.0f, x); }
__device__ inline double zeroLike(double x) { return copysign(0.0, x); }
__device__ inline float roundedDown(float x) { return floorf(x); }
__device__ inline double roundedDown(double x) { return floor(x); }
/// Python's: the sign of the divisor; a zero has it too.
template <typename T>
__device__ inline T floorRemainderOfFloats(T a, T b) {
  const T rest = exactRemainder(a, b);
  if (rest == T(0)) return zeroLike(b);
  return (rest < T(0)) != (b < T(0)) ? rest + b : rest;
}
/// Python's: exact where a / b would round up to the next integer.
template <typename T>
__device__ inline T floorQuotientOfFloats(T a, T b) {
  if (b == T(0)) return a / b;
  const T rest = exactRemainder(a, b);
  T quotient = (a - rest) / b;
  if (rest != T(0) && (rest < T(0)) != (b < T(0))) quotient -= T(1);
  if (quotient == T(0)) return zeroLike(a / b);
  const T down = roundedDown(quotient);
  return quotient - down > T(0.5) ? down + T(1) : down;
}
__device__ inline float floorQuotient(float a, float b) { return floorQuotientOfFloats(a, b); }
__device__ inline double floorQuotient(double a, double b) { return floorQuotientOfFloats(a, b); }
__device__ inline int floorQuotient(int a, int b) { return floorQuotientOfIntegers(a, b); }
__device__ inline long long floorQuotient(long long a, long long b) { return floorQuotientOfIntegers(a, b); }
__device__ inline float floorRemainder(float a, float b) { return floorRemainderOfFloats(a, b); }
__device__ inline double floorRemainder(double a, double b) { return floorRemainderOfFloats(a, b); }
__device__ inline int floorRemainder(int a, int b) { return floorRemainderOfIntegers(a, b); }
__device__ inline long long floorRemainder(long long a, long long b) { return floorRemainderOfIntegers(a, b); }

/// By squaring, wrapping; a negative exponent truncates the fraction 1 / base^|exponent| towards zero.
template <typename T>
__device__ inline T integerPower(T base, T exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  T result = 1;
  for (T left = exponent; left > 0; left >>= 1) {
    if (left & 1) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

/// Truncates; `low` and `high` are the integer type's range as T, `high` the largest T that is not above it. NaN gives
/// 0.
template <typename I, typename T>
__device__ inline I saturated(T x, T low, T high, I lowest, I highest) {
  return x > high ? highest : x < low ? lowest : x == x ? static_cast<I>(x) : I(0);
}
__device__ inline int toI8(float x) { return saturated<int>(x, -128.0f, 127.0f, -128, 127); }
__device__ inline int toI8(double x) { return saturated<int>(x, -128.0, 127.0, -128, 127); }
__device__ inline int toI8(int x) { return static_cast<signed char>(x); }
__device__ inline int toI8(long long x) { return static_cast<signed char>(x); }
__device__ inline int toU8(float x) { return saturated<int>(x, 0.0f, 255.0f, 0, 255); }
__device__ inline int toU8(double x) { return saturated<int>(x, 0.0, 255.0, 0, 255); }
__device__ inline int toU8(int x) { return static_cast<unsigned char>(x); }
__device__ inline int toU8(long long x) { return static_cast<unsigned char>(x); }
__device__ inline int toI32(float x) { return saturated<int>(x, -0x1p31f, 2147483520.0f, -2147483647 - 1, 2147483647); }
__device__ inline int toI32(double x) { return saturated<int>(x, -0x1p31, 2147483647.0, -2147483647 - 1, 2147483647); }
__device__ inline int toI32(int x) { return x; }
__device__ inline int toI32(long long x) { return static_cast<int>(x); }
__device__ inline long long toI64(float x) {
  return saturated<long long>(x, -0x1p63f, 9223371487098961920.0f, -9223372036854775807ll - 1, 9223372036854775807ll);
}
__device__ inline long long toI64(double x) {
  return saturated<long long>(x, -0x1p63, 9223372036854774784.0, -9223372036854775807ll - 1, 9223372036854775807ll);
}
__device__ inline long long toI64(int x) { return x; }
__device__ inline long long toI64(long long x) { return x; }
/// The value as T holds it, T a 16-bit float.
template <typename T>
__device__ inline float roundedTo(float x) {
  return widen(narrow<T>(x));
}

/// 1 / (1 + e^-|x|), or its complement e^-|x| / (1 + e^-|x|): neither overflows nor cancels.
__device__ inline float sigmoidOf(float x) {
  const float power = expf(-fabsf(x));
  return (x < 0.0f ? power : 1.0f) / (1.0f + power);
}
__device__ inline double sigmoidOf(double x) {
  const double power = exp(-fabs(x));
  return (x < 0.0 ? power : 1.0) / (1.0 + power);
}

/// A sum with what its roundings lost (Knuth, The Art of Computer Programming 2, 4.2.2).
struct ExactSum {
  double high = 0.0, low = 0.0;
  __device__ void add(double x) {
    const double sum = high + x, part = sum - high;
    low += (high - (sum - part)) + (x - part);
    high = sum;
  }
};

/// The derivative of log gamma: reflection below 0, recurrence up to 16, then the asymptotic series (Abramowitz and
/// Stegun 6.3.7, 6.3.5, 6.3.18). The sums cancel, most of all near the root at 1.46, so they carry more digits than the
/// result.
__device__ inline double digammaOf(double x) {
  const double infinity = __longlong_as_double(0x7ff0000000000000ll);
  if (x != x || x == infinity) return x;
  if (x == 0.0) return copysign(infinity, -x);
  ExactSum total;
  if (x < 0.0) {
    const double whole = floor(x);
    if (x == whole) return __longlong_as_double(0x7ff8000000000000ll);
    const double pi = 3.14159265358979323846;
    total.add(-pi / tan(pi * (x - whole)));
    x = 1.0 - x;
  }
  for (; x < 16.0; x += 1.0) {
    const double inverse = 1.0 / x;
    total.add(-inverse);
    total.low -= fma(-inverse, x, 1.0) * inverse;
  }
  if (x < 17.0) {
    // ln 16 in two parts, and little beside them.
    total.add(2.772588722239781);
    total.low += 9.276187255385198e-17 + log1p((x - 16.0) * 0.0625);
  } else {
    total.add(log(x));
  }
  const double z = 1.0 / (x * x);
  double p = 1.0 / 12.0;
  p = p * z - 691.0 / 32760.0;
  p = p * z + 1.0 / 132.0;
  p = p * z - 1.0 / 240.0;
  p = p * z + 1.0 / 252.0;
  p = p * z - 1.0 / 120.0;
  p = p * z + 1.0 / 12.0;
  return total.high + (total.low - 0.5 / x - z * p);
}
__device__ inline float digammaOf(float x) { return static_cast<float>(digammaOf(static_cast<double>(x))); }

}  // namespace heddle::cuda
