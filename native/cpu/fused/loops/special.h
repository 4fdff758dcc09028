// Special functions in f64, one element at a time: log gamma, digamma and the inverse error function.
#pragma once

#include "level.h"

namespace heddle::fused::HEDDLE_LEVEL {

HEDDLE_INLINE double logGamma(double x) {
  int sign;  // lgamma itself writes a global, which threads would share
  return lgamma_r(x, &sign);
}

/// Reflection below 0, recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.7, 6.3.5, 6.3.18).
static inline double digamma(double x) {
  if (x != x || x == __builtin_inf()) return x;
  if (x == 0.0) return __builtin_copysign(__builtin_inf(), -x);
  double reflected = 0.0;
  if (x < 0.0) {
    const double whole = __builtin_floor(x);
    if (x == whole) return __builtin_nan("");
    reflected = -M_PI / tan(M_PI * (x - whole));
    x = 1.0 - x;
  }
  double below = 0.0;
  for (; x < 10.0; x += 1.0) below += 1.0 / x;
  const double z = 1.0 / (x * x);
  double p = 1.0 / 12.0;
  p = p * z - 691.0 / 32760.0;
  p = p * z + 1.0 / 132.0;
  p = p * z - 1.0 / 240.0;
  p = p * z + 1.0 / 252.0;
  p = p * z - 1.0 / 120.0;
  p = p * z + 1.0 / 12.0;
  return log(x) - 0.5 / x - z * p - below + reflected;
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
