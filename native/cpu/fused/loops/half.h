// f16 and bf16 to f32 and back without branches, rounding to nearest even.
#pragma once

#include "level.h"

namespace heddle::fused::HEDDLE_LEVEL {

HEDDLE_INLINE float bf16ToFloat(uint16_t bits) {
  return floatOf(static_cast<int32_t>(static_cast<uint32_t>(bits) << 16));
}

HEDDLE_INLINE uint16_t floatToBf16(float x) {
  const uint32_t bits = static_cast<uint32_t>(bitsOf(x));
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>(x != x ? (bits >> 16) | 0x40u : rounded);
}

/// The f16's exponent and mantissa, shifted into place, are an f32 too small by 2^112; the product is exact, subnormals
/// included. Only infinities and NaN, whose exponent is all ones, need that said again.
HEDDLE_INLINE float f16ToFloat(uint16_t bits) {
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fff) << 13;
  const float scaled = floatOf(static_cast<int32_t>(magnitude)) * 0x1p112f;
  const uint32_t special = magnitude >= (0x7c00u << 13) ? 0x7f800000u : 0u;
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  return floatOf(static_cast<int32_t>(static_cast<uint32_t>(bitsOf(scaled)) | special | sign));
}

HEDDLE_INLINE uint16_t floatToF16(float x) {
  const uint32_t bits = static_cast<uint32_t>(bitsOf(x));
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t normal = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - (112u << 23)) >> 13;
  // Below 2^-14 the result's unit is 2^-24, which is also the last bit of an f32 in [0.5, 1): the addition rounds.
  const uint32_t subnormal =
      static_cast<uint32_t>(bitsOf(floatOf(static_cast<int32_t>(magnitude)) + 0.5f)) - 0x3f000000u;
  uint32_t result = magnitude < 0x38800000u ? subnormal : normal;
  result = magnitude >= 0x477ff000u ? 0x7c00u : result;
  result = magnitude > 0x7f800000u ? 0x7e00u : result;
  return static_cast<uint16_t>(result | ((bits >> 16) & 0x8000u));
}

}  // namespace heddle::fused::HEDDLE_LEVEL
