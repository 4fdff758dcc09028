// Element types as C++ types: the two 16-bit floats, what each computes in, and dispatch from a DType.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <type_traits>

#include "half.h"
#include "kernel.h"

namespace heddle {

inline float toFloat(BFloat16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }

// Exponents are moved by a multiplication with 2^112, which also normalises subnormals.
inline float toFloat(Float16 value) {
  const uint32_t magnitude = (value.bits & 0x7fffu) << 13;
  uint32_t bits = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  if ((value.bits & 0x7c00u) == 0x7c00u) bits = magnitude | 0x7f800000u;
  return std::bit_cast<float>(bits | (uint32_t{value.bits & 0x8000u} << 16));
}

// Round to nearest even: the discarded half is added with the last kept bit breaking the tie.
inline BFloat16 toBFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// Below 2^-14 the result is a multiple of 2^-24, which is the spacing of floats at 0.5: the addition rounds.
inline Float16 toFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u;
  } else if (magnitude < 0x38800000u) {
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    half = rounded >= 0x47800000u ? 0x7c00u : (rounded >> 13) - (112u << 10);
  }
  return {static_cast<uint16_t>(half | ((bits >> 16) & 0x8000u))};
}

/// The type arithmetic on T happens in: f32 for the 16-bit floats, else T itself.
template <typename T>
using Compute = std::conditional_t<std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>, float, T>;

template <typename T>
inline Compute<T> load(T value) {
  if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>)
    return toFloat(value);
  else
    return value;
}

template <typename T>
inline T store(Compute<T> value) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return toBFloat16(value);
  else if constexpr (std::is_same_v<T, Float16>)
    return toFloat16(value);
  else
    return value;
}

template <typename T>
struct TypeTag {
  using type = T;
};

inline const char* nameOf(DType dtype) { return kDTypeNames[static_cast<size_t>(dtype)]; }
inline int64_t bytesOf(DType dtype) { return kDTypeBytes[static_cast<size_t>(dtype)]; }

inline bool isFloat(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16;
}

[[noreturn]] inline void throwUnsupported(const char* op, DType dtype) {
  throw Error(ErrorCode::unsupported,
              std::string(op) + ": this device has no kernel for " + nameOf(dtype) + "; cast the operands first");
}

/// Calls `function(TypeTag<T>{})` with the C++ type of a float dtype.
template <typename Function>
auto dispatchFloat(const char* op, DType dtype, Function&& function) {
  switch (dtype) {
    case DType::f32: return function(TypeTag<float>{});
    case DType::f64: return function(TypeTag<double>{});
    case DType::bf16: return function(TypeTag<BFloat16>{});
    case DType::f16: return function(TypeTag<Float16>{});
    default: throwUnsupported(op, dtype);
  }
}

/// Calls `function(TypeTag<T>{})` with the C++ type of any dtype; bool is a byte.
template <typename Function>
auto dispatchAny(const char* op, DType dtype, Function&& function) {
  switch (dtype) {
    case DType::i8: return function(TypeTag<int8_t>{});
    case DType::u8:
    case DType::bool_: return function(TypeTag<uint8_t>{});
    case DType::i32: return function(TypeTag<int32_t>{});
    case DType::i64: return function(TypeTag<int64_t>{});
    default: return dispatchFloat(op, dtype, std::forward<Function>(function));
  }
}

/// Calls `function(TypeTag<T>{})` with an index type: i32 or i64.
template <typename Function>
auto dispatchIndex(const char* op, DType dtype, Function&& function) {
  switch (dtype) {
    case DType::i32: return function(TypeTag<int32_t>{});
    case DType::i64: return function(TypeTag<int64_t>{});
    default:
      throw Error(ErrorCode::unsupported, std::string(op) + ": indices must be i32 or i64, not " + nameOf(dtype));
  }
}

}  // namespace heddle
