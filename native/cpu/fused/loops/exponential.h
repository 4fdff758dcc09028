// exp, exp2, expm1 and log in f32 and f64, without branches so that loops over them vectorise.
// Polynomials: minimax fits (Lawson-weighted least squares on Chebyshev nodes) of the functions named beside them.
#pragma once

#include "level.h"

namespace heddle::fused::HEDDLE_LEVEL {

#include "../../exponential_loops.h"

constexpr float kLn2High = FloatParts<float>::ln2High, kLn2Low = FloatParts<float>::ln2Low;
constexpr double kLn2HighDouble = FloatParts<double>::ln2High, kLn2LowDouble = FloatParts<double>::ln2Low;
constexpr float kWhole = FloatParts<float>::whole;
constexpr double kWholeDouble = FloatParts<double>::whole;

HEDDLE_INLINE float exp2Of(float x) {
  const float y = clamp(x, -152.0f, 129.0f);
  const float shifted = y + kWhole;
  const float r = y - (shifted - kWhole);
  return scale(expReduced(r * 0.693147181f), bitsOf(shifted) - bitsOf(kWhole));
}

/// 2^n (e^r - 1) + (2^n - 1): no cancellation, for the second part is at least as large where the signs differ.
HEDDLE_INLINE float expm1Of(float x) {
  const float y = clamp(x, -20.0f, 89.0f);
  int32_t exponent;
  const float r = reduceByLn2(y, exponent);
  // Above 2^126 the power is halved and the sum doubled, for 2^128 is no f32.
  const int32_t down = exponent > 126 ? 1 : 0;
  const float power = powerOfTwo<float>(exponent - down);
  const float back = down ? 2.0f : 1.0f;
  const float value = (power * expm1Reduced(r) + (power - (down ? 0.5f : 1.0f))) * back;
  return x == 0.0f ? x : value;
}
/// As above for |x| <= 700.
HEDDLE_INLINE double expm1Moderate(double x) {
  int64_t exponent;
  const double r = reduceByLn2(x, exponent);
  const double power = powerOfTwo<double>(exponent);
  return power * expm1Reduced(r) + (power - 1.0);
}

/// log of m * 2^e, m in [sqrt(1/2), sqrt(2)): log1p(m - 1) is a fit, f - f^2/2 + f^3 p(f).
HEDDLE_INLINE float logOf(float x) {
  const bool tiny = x < 0x1p-126f;
  const float normal = tiny ? x * 0x1p23f : x;
  // Unsigned, for the difference of a negative number's bits, which is not used, would overflow.
  const int32_t bits = static_cast<int32_t>(static_cast<uint32_t>(bitsOf(normal)) - 0x3f3504f3u);
  const int32_t exponent = bits >> 23;
  const float f = floatOf((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
  const float e = static_cast<float>(exponent) - (tiny ? 23.0f : 0.0f);
  float p = 6.915447263e-2f;
  p = p * f - 1.178993354e-1f;
  p = p * f + 1.187300834e-1f;
  p = p * f - 1.238433066e-1f;
  p = p * f + 1.421865180e-1f;
  p = p * f - 1.666925156e-1f;
  p = p * f + 2.000222693e-1f;
  p = p * f - 2.499998659e-1f;
  p = p * f + 3.333331044e-1f;
  const float square = f * f;
  const float low = p * f * square + e * kLn2Low;
  const float value = (low - 0.5f * square + f) + e * kLn2High;
  const float edge = x == 0.0f ? -__builtin_inff() : x > 0.0f ? x : __builtin_nanf("");
  return (x > 0.0f) & (x < __builtin_inff()) ? value : edge;
}
/// log m = 2 atanh(s), s = f / (2 + f): its series in s^2 <= 0.0295 to the term below 2^-58.
HEDDLE_INLINE double logOf(double x) {
  const bool tiny = x < 0x1p-1022;
  const double normal = tiny ? x * 0x1p52 : x;
  const int64_t bits = static_cast<int64_t>(static_cast<uint64_t>(bitsOf(normal)) - 0x3fe6a09e667f3bcdu);
  const int64_t exponent = bits >> 52;
  const double f = doubleOf((bits & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1.0;
  const double e = static_cast<double>(static_cast<int32_t>(exponent)) - (tiny ? 52.0 : 0.0);
  const double s = f / (2.0 + f);
  const double z = s * s;
  double p = 2.0 / 23.0;
  p = p * z + 2.0 / 21.0;
  p = p * z + 2.0 / 19.0;
  p = p * z + 2.0 / 17.0;
  p = p * z + 2.0 / 15.0;
  p = p * z + 2.0 / 13.0;
  p = p * z + 2.0 / 11.0;
  p = p * z + 2.0 / 9.0;
  p = p * z + 2.0 / 7.0;
  p = p * z + 2.0 / 5.0;
  p = p * z + 2.0 / 3.0;
  // 2s = f - s f, and s f = f^2/2 - s f^2/2: f enters exactly and the rest is small.
  const double half = 0.5 * f * f;
  const double low = s * (half + p * z) + e * kLn2LowDouble;
  const double value = e * kLn2HighDouble + (f - (half - low));
  const double edge = x == 0.0 ? -__builtin_inf() : x > 0.0 ? x : __builtin_nan("");
  return (x > 0.0) & (x < __builtin_inf()) ? value : edge;
}

}  // namespace heddle::fused::HEDDLE_LEVEL
