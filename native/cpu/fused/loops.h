// The inner loops of fused programs as one table of function pointers per instruction-set level.
#pragma once

#include <cstdint>

#include "../../schema.gen.h"

namespace heddle::fused {

/// What a value is inside a block: f16 and bf16 are f32, i8 and u8 are i32, bool is a 32-bit 0 or 1.
enum class RegisterClass : uint8_t { f32, f64, i32, i64, bool_, count };

constexpr RegisterClass classOf(DType dtype) {
  switch (dtype) {
    case DType::f64: return RegisterClass::f64;
    case DType::i8:
    case DType::u8:
    case DType::i32: return RegisterClass::i32;
    case DType::i64: return RegisterClass::i64;
    case DType::bool_: return RegisterClass::bool_;
    default: return RegisterClass::f32;
  }
}

/// Which operands of a two-operand loop are one element, repeated.
enum Repeat : uint8_t { kNone, kFirst, kSecond, kRepeatCount };

/// `n` results from packed operands. `out` may be the same memory as an operand, element for element.
using Compute = void (*)(void* out, const void* a, const void* b, const void* c, int64_t n);
/// Packs a window of memory (strides in elements) into a register: row r goes to out + r * outRowStride.
using Load = void (*)(void* out, int64_t outRowStride, const void* in, int64_t rowStride, int64_t columnStride,
                      int64_t rows, int64_t columns);
/// Writes packed rows of `columns` elements to a window of memory.
using StoreLoop = void (*)(void* out, int64_t rowStride, int64_t columnStride, const void* in, int64_t rows,
                           int64_t columns);
/// Writes `bytes` bytes past the caches, and meanwhile asks for as many from each of `ahead` on.
using Stream = void (*)(char* out, const char* in, int64_t bytes, const char* const* ahead, int64_t aheadCount);
/// start + r * rowStride + c * columnStride.
using Count = void (*)(void* out, int64_t start, int64_t rowStride, int64_t columnStride, int64_t rows,
                       int64_t columns);
/// Combines rows of packed values, which lie `rowStride` apart, into accumulators (accumulatorOf in representation.h):
/// `rows` of them when reducing along rows, `columns` of them when reducing along columns.
using Reduce = void (*)(void* accumulators, const void* values, int64_t rows, int64_t columns, int64_t rowStride);
/// Draws for the positions `index`; `contiguous` promises index[i] = index[0] + i.
using Draw = void (*)(void* out, const int64_t* index, uint64_t seed, uint64_t counter, bool contiguous, int64_t n);

struct Loops {
  static constexpr int kOpcodes = static_cast<int>(Opcode::count);
  static constexpr int kClasses = static_cast<int>(RegisterClass::count);
  static constexpr int kDTypes = static_cast<int>(DType::count);
  static constexpr int kReductions = static_cast<int>(Reduction::count);

  Compute unary[kOpcodes][kClasses];                 // by the operand's class
  Compute binary[kOpcodes][kClasses][kRepeatCount];  // by the operands' class
  Compute where[2][8];                               // 4 or 8 bytes; bit i set: operand i is one element, repeated
  Compute cast[kClasses][kDTypes];
  Load load[kDTypes];
  StoreLoop store[kDTypes];
  Load move[4];  // elements of 1, 2, 4, 8 bytes, uninterpreted
  StoreLoop moveOut[4];
  Stream stream;
  void (*streamEnd)();
  Load turn[2][2];  // elements of 4, 8 bytes, down columns of memory; [1]: past the cache
  Count count[kClasses];
  Reduce reduceRows[kReductions][kClasses];
  Reduce reduceColumns[kReductions][kClasses];
  Draw uniform[2];  // f32, f64
  Draw normal[2];
};

/// The table of the best level this processor runs.
const Loops& loops();

}  // namespace heddle::fused
