// The loop shapes: a functor over packed operands, with one-element operands kept in a register.
#pragma once

#include "level.h"

#ifndef HEDDLE_UNROLLED
#define HEDDLE_UNROLLED 4
#endif

namespace heddle::fused::HEDDLE_LEVEL {

/// Vectors at a time: most functors are one instruction, and the loop around a single one would cost more.
constexpr int kUnrolled = HEDDLE_UNROLLED;

// ivdep: an operand may be the result's own memory, but only element for element.

template <typename F, typename T, typename R>
void applyUnary(void* out, const void* a, const void*, const void*, int64_t n) {
  R* y = static_cast<R*>(out);
  const T* x = static_cast<const T*>(a);
#pragma GCC ivdep
#pragma GCC unroll kUnrolled
  for (int64_t i = 0; i < n; i++) y[i] = F::apply(x[i]);
}

template <typename F, typename T, typename R, Repeat repeat>
void applyBinary(void* out, const void* a, const void* b, const void*, int64_t n) {
  R* y = static_cast<R*>(out);
  const T* x0 = static_cast<const T*>(a);
  const T* x1 = static_cast<const T*>(b);
  const T first = x0[0];
  const T second = x1[0];
#pragma GCC ivdep
#pragma GCC unroll kUnrolled
  for (int64_t i = 0; i < n; i++) y[i] = F::apply(repeat == kFirst ? first : x0[i], repeat == kSecond ? second : x1[i]);
}

template <typename F, typename T, typename R>
void addUnary(Loops& table, Opcode op, RegisterClass operand) {
  table.unary[static_cast<int>(op)][static_cast<int>(operand)] = applyUnary<F, T, R>;
}

template <typename F, typename T, typename R>
void addBinary(Loops& table, Opcode op, RegisterClass operand) {
  Compute* loops = table.binary[static_cast<int>(op)][static_cast<int>(operand)];
  loops[kNone] = applyBinary<F, T, R, kNone>;
  loops[kFirst] = applyBinary<F, T, R, kFirst>;
  loops[kSecond] = applyBinary<F, T, R, kSecond>;
}

}  // namespace heddle::fused::HEDDLE_LEVEL
