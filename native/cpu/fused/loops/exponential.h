// exp, expm1, log and what is built of them, in f32 and f64, without branches so that loops over them vectorise.
// Polynomials: minimax fits (Lawson-weighted least squares on Chebyshev nodes) of the functions named beside them.
#pragma once

#include "level.h"

namespace heddle::fused::HEDDLE_LEVEL {

// ln 2 in two parts; the high one has enough trailing zeros for its product with an exponent to be exact.
constexpr float kLn2High = 0.693359375f;
constexpr float kLn2Low = -2.12194440e-4f;
constexpr double kLn2HighDouble = 0x1.62e42feep-1;
constexpr double kLn2LowDouble = 0x1.a39ef35793c76p-33;

/// x clamped to [low, high]; NaN stays.
HEDDLE_INLINE float clamp(float x, float low, float high) {
  const float y = x < low ? low : x;
  return y > high ? high : y;
}
HEDDLE_INLINE double clamp(double x, double low, double high) {
  const double y = x < low ? low : x;
  return y > high ? high : y;
}

/// 2^n * x for whole |n| <= 252 (f32) or 2044 (f64), in two steps so that subnormal results round once.
HEDDLE_INLINE float scale(float x, int32_t n) {
  const int32_t half = n >> 1;
  return x * floatOf((half + 127) << 23) * floatOf((n - half + 127) << 23);
}
HEDDLE_INLINE double scale(double x, int64_t n) {
  const int64_t half = n >> 1;
  return x * doubleOf((half + 1023) << 52) * doubleOf((n - half + 1023) << 52);
}

/// e^r - 1 for |r| <= ln 2 / 2.
HEDDLE_INLINE float expm1Reduced(float r) {
  float p = 1.395062877e-3f;
  p = p * r + 8.368970137e-3f;
  p = p * r + 4.166620374e-2f;
  p = p * r + 1.666651817e-1f;
  p = p * r + 5.000000096e-1f;
  return p * r * r + r;
}
/// The Taylor series to r^13; the next term is below 2^-57 of the sum.
HEDDLE_INLINE double expm1Reduced(double r) {
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  return p * r * r + r;
}

// Adding 1.5 * 2^23 (2^52) leaves the nearest whole number in the low bits of the sum.
constexpr float kWhole = 12582912.0f;
constexpr double kWholeDouble = 6755399441055744.0;

HEDDLE_INLINE float expOf(float x) {
  const float y = clamp(x, -105.0f, 89.5f);
  const float shifted = y * 1.44269504f + kWhole;
  const float n = shifted - kWhole;
  const float r = (y - n * kLn2High) - n * kLn2Low;
  return scale(expm1Reduced(r) + 1.0f, bitsOf(shifted) - bitsOf(kWhole));
}
HEDDLE_INLINE double expOf(double x) {
  const double y = clamp(x, -750.0, 710.5);
  const double shifted = y * 1.4426950408889634 + kWholeDouble;
  const double n = shifted - kWholeDouble;
  const double r = (y - n * kLn2HighDouble) - n * kLn2LowDouble;
  return scale(expm1Reduced(r) + 1.0, bitsOf(shifted) - bitsOf(kWholeDouble));
}

HEDDLE_INLINE float exp2Of(float x) {
  const float y = clamp(x, -152.0f, 129.0f);
  const float shifted = y + kWhole;
  const float r = y - (shifted - kWhole);
  return scale(expm1Reduced(r * 0.693147181f) + 1.0f, bitsOf(shifted) - bitsOf(kWhole));
}

/// 2^n (e^r - 1) + (2^n - 1): no cancellation, for the second part is at least as large where the signs differ.
HEDDLE_INLINE float expm1Of(float x) {
  const float y = clamp(x, -20.0f, 89.0f);
  const float shifted = y * 1.44269504f + kWhole;
  const float n = shifted - kWhole;
  const float r = (y - n * kLn2High) - n * kLn2Low;
  const int32_t exponent = bitsOf(shifted) - bitsOf(kWhole);
  // Above 2^126 the power is halved and the sum doubled, for 2^128 is no f32.
  const int32_t down = exponent > 126 ? 1 : 0;
  const float power = floatOf((exponent - down + 127) << 23);
  const float back = down ? 2.0f : 1.0f;
  const float value = (power * expm1Reduced(r) + (power - (down ? 0.5f : 1.0f))) * back;
  return x == 0.0f ? x : value;
}
/// As above for |x| <= 700.
HEDDLE_INLINE double expm1Moderate(double x) {
  const double shifted = x * 1.4426950408889634 + kWholeDouble;
  const double n = shifted - kWholeDouble;
  const double r = (x - n * kLn2HighDouble) - n * kLn2LowDouble;
  const double power = doubleOf((bitsOf(shifted) - bitsOf(kWholeDouble) + 1023) << 52);
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
