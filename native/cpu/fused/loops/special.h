// Special functions in f64, one element at a time: log gamma, digamma and the inverse error function.
#pragma once

#include "level.h"

namespace heddle::fused::HEDDLE_LEVEL {

HEDDLE_INLINE double logGamma(double x) {
  int sign;  // lgamma itself writes a global, which threads would share
  return lgamma_r(x, &sign);
}

/// Reflection below 0, recurrence up to 16, then the asymptotic series (Abramowitz and Stegun 6.3.7, 6.3.5, 6.3.18).
/// The sums cancel, most of all near the root at 1.46, so they carry more digits than the result.
static inline double digamma(double argument) {
  if (argument != argument || argument == __builtin_inf()) return argument;
  if (argument == 0.0) return __builtin_copysign(__builtin_inf(), -argument);
  long double x = static_cast<long double>(argument);
  long double total = 0.0L;
  if (argument < 0.0) {
    const double whole = __builtin_floor(argument);
    if (argument == whole) return __builtin_nan("");
    const long double pi = 3.14159265358979323846264338327950288L;
    total = -pi / tanl(pi * (x - static_cast<long double>(whole)));
    x = 1.0L - x;
  }
  for (; x < 16.0L; x += 1.0L) total -= 1.0L / x;
  const long double z = 1.0L / (x * x);
  long double p = 1.0L / 12.0L;
  p = p * z - 691.0L / 32760.0L;
  p = p * z + 1.0L / 132.0L;
  p = p * z - 1.0L / 240.0L;
  p = p * z + 1.0L / 252.0L;
  p = p * z - 1.0L / 120.0L;
  p = p * z + 1.0L / 12.0L;
  return static_cast<double>(total + logl(x) - 0.5L / x - z * p);
}

/// Winitzki's closed form to three digits, then three Halley steps on erf (on erfc where erf nears 1).
static inline double inverseErf(double y) {
  const double magnitude = __builtin_fabs(y);
  if (!(magnitude < 1.0)) return magnitude == 1.0 ? __builtin_copysign(__builtin_inf(), y) : __builtin_nan("");
  if (magnitude < 1e-10) return y * 0.8862269254527580136;  // sqrt(pi) / 2
  const double logarithm = log1p(-magnitude * magnitude);
  const double half = 4.3307467508 + 0.5 * logarithm;  // 2 / (pi a) with a = 0.147
  double x = sqrt(sqrt(half * half - logarithm / 0.147) - half);
  for (int step = 0; step < 3; step++) {
    const double error = magnitude < 0.5 ? erf(x) - magnitude : (1.0 - magnitude) - erfc(x);
    const double ratio = error * 0.8862269254527580136 * exp(x * x);  // error / derivative
    x -= ratio / (1.0 + x * ratio);
  }
  return __builtin_copysign(x, y);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
