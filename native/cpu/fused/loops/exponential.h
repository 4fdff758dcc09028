// exp, exp2, expm1, log and log2 in f32 and f64, without branches so that loops over them vectorise.
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

/// The f of x = (1 + f) 2^e with 1 + f in [sqrt(1/2), sqrt(2)), and e, for normal and subnormal x above 0.
HEDDLE_INLINE float fractionOf(float x, float& e) {
  const bool tiny = x < 0x1p-126f;
  const float normal = tiny ? x * 0x1p23f : x;
  // Unsigned, for the difference of a negative number's bits, which is not used, would overflow.
  const int32_t bits = static_cast<int32_t>(static_cast<uint32_t>(bitsOf(normal)) - 0x3f3504f3u);
  e = static_cast<float>(bits >> 23) - (tiny ? 23.0f : 0.0f);
  return floatOf((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
}
/// The c of log(1 + f) = f - f^2/2 + c, a fit of c / f^3.
HEDDLE_INLINE float logTail(float f) {
  float p = 6.915447263e-2f;
  p = p * f - 1.178993354e-1f;
  p = p * f + 1.187300834e-1f;
  p = p * f - 1.238433066e-1f;
  p = p * f + 1.421865180e-1f;
  p = p * f - 1.666925156e-1f;
  p = p * f + 2.000222693e-1f;
  p = p * f - 2.499998659e-1f;
  p = p * f + 3.333331044e-1f;
  return p * f * (f * f);
}
/// `value`, or what a logarithm is at 0, at infinity and where there is none.
HEDDLE_INLINE float logEdges(float x, float value) {
  const float edge = x == 0.0f ? -__builtin_inff() : x > 0.0f ? x : __builtin_nanf("");
  return (x > 0.0f) & (x < __builtin_inff()) ? value : edge;
}
HEDDLE_INLINE float logOf(float x) {
  float e;
  const float f = fractionOf(x, e);
  const float low = logTail(f) + e * kLn2Low;
  return logEdges(x, (low - 0.5f * (f * f) + f) + e * kLn2High);
}
/// Exact for powers of two, of which f is 0.
HEDDLE_INLINE float log2Of(float x) {
  float e;
  const float f = fractionOf(x, e);
  return logEdges(x, (logTail(f) - 0.5f * (f * f) + f) * 1.44269504f + e);
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
