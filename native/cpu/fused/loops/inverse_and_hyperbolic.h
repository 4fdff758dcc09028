// Inverse trigonometric, hyperbolic and inverse hyperbolic functions of f32, in f64 and rounded once; without branches,
// so that loops over them vectorise.
#pragma once

#include "exponential.h"

namespace heddle::fused::HEDDLE_LEVEL {

constexpr double kHalfPi = 1.5707963267948966, kPi = 3.141592653589793;

/// The angle in [0, pi/2] of a tangent from 0 up: t p(t^2) up to 1, p interpolating atan(t)/t in Chebyshev nodes to
/// 7e-11; beyond, what the reciprocal's leaves of pi/2.
HEDDLE_INLINE double angleOf(double tangent) {
  const bool steep = tangent > 1.0;
  const double t = steep ? 1.0 / tangent : tangent;
  const double z = t * t;
  double p = -0.000663394903919;
  p = p * z + 0.00473248083047;
  p = p * z - 0.0158283140057;
  p = p * z + 0.0338262062163;
  p = p * z - 0.0539566691367;
  p = p * z + 0.0722827768967;
  p = p * z - 0.0897417171743;
  p = p * z + 0.110919229082;
  p = p * z - 0.142838132481;
  p = p * z + 0.199999011016;
  p = p * z - 0.333333312909;
  p = p * z + 0.999999999929;
  return steep ? kHalfPi - t * p : t * p;
}

HEDDLE_INLINE double atanOf(double x) { return __builtin_copysign(angleOf(__builtin_fabs(x)), x); }
HEDDLE_INLINE double asinOf(double x) { return atanOf(x / __builtin_sqrt((1.0 - x) * (1.0 + x))); }
HEDDLE_INLINE double acosOf(double x) { return 2.0 * angleOf(__builtin_sqrt((1.0 - x) / (1.0 + x))); }

/// In the half plane where x is negative, or -0, the angle is pi less that of |x|.
HEDDLE_INLINE double atan2Of(double y, double x) {
  const double height = __builtin_fabs(y), width = __builtin_fabs(x);
  const bool same = height == width;
  // 0 / 0 is no angle: there it is that of the axis. Of two infinities it is the diagonal's.
  const double tangent = same ? (height == 0.0 ? 0.0 : 1.0) : height / width;
  const double angle = angleOf(tangent);
  return __builtin_copysign(__builtin_copysign(1.0, x) < 0.0 ? kPi - angle : angle, y);
}

/// No f32 above 90 has a sinh or cosh that is one.
constexpr double kMostHyperbolic = 100.0;

HEDDLE_INLINE double sinhOf(double x) {
  const double e = expm1Moderate(clamp(__builtin_fabs(x), 0.0, kMostHyperbolic));
  return __builtin_copysign(0.5 * (e + e / (e + 1.0)), x);
}
HEDDLE_INLINE double coshOf(double x) {
  const double e = expOf(clamp(__builtin_fabs(x), 0.0, kMostHyperbolic));
  return 0.5 * (e + 1.0 / e);
}

/// Where the logarithm's argument would round to 1, the series.
HEDDLE_INLINE double asinhOf(double x) {
  const double magnitude = __builtin_fabs(x), square = x * x;
  const double series = magnitude * (1.0 - square * (1.0 / 6.0 - square * (3.0 / 40.0)));
  const double logarithm = logOf(magnitude + __builtin_sqrt(square + 1.0));
  return __builtin_copysign(magnitude < 0x1p-7 ? series : logarithm, x);
}
HEDDLE_INLINE double acoshOf(double x) {
  const double value = logOf(x + __builtin_sqrt((x - 1.0) * (x + 1.0)));
  return x < 1.0 ? __builtin_nan("") : value;
}
HEDDLE_INLINE double atanhOf(double x) {
  const double magnitude = __builtin_fabs(x), square = x * x;
  const double series = magnitude * (1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0))));
  const double logarithm = 0.5 * logOf((1.0 + magnitude) / (1.0 - magnitude));
  return __builtin_copysign(magnitude < 0x1p-6 ? series : logarithm, x);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
