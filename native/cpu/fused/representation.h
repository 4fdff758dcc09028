// How elements of a dtype look in memory and in a register of a fused program.
#pragma once

#include "loops.h"

namespace heddle::fused {

inline bool isFloatClass(RegisterClass kind) { return kind == RegisterClass::f32 || kind == RegisterClass::f64; }

/// Values of this dtype look the same in memory and in a register.
inline bool plain(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::i32 || dtype == DType::i64;
}

/// What values of a class are reduced in. Sums and products need more bits than their terms have; the largest or
/// smallest value is one of them. Integers all have i64.
inline RegisterClass accumulatorOf(Reduction reduction, RegisterClass kind) {
  if (!isFloatClass(kind)) return RegisterClass::i64;
  return reduction == Reduction::max || reduction == Reduction::min ? kind : RegisterClass::f64;
}

/// f16 and bf16 results of a reduction stay f32 until they are stored.
inline DType resultDType(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16 ? DType::f32 : dtype; }

inline int registerBytes(DType dtype) { return dtype == DType::f64 || dtype == DType::i64 ? 8 : 4; }
inline int log2Bytes(DType dtype) { return __builtin_ctz(static_cast<unsigned>(kDTypeBytes[static_cast<int>(dtype)])); }

/// What `from` holds looks the same in a register of `to`.
inline bool sameInRegister(DType from, DType to) {
  const RegisterClass kind = classOf(from);
  if (to == DType::f32) return kind == RegisterClass::f32;
  if (to == DType::i32) return kind == RegisterClass::i32 || kind == RegisterClass::bool_;
  return from == to;
}

}  // namespace heddle::fused
