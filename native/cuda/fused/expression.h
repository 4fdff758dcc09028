// Instructions of fused programs as C++ expressions over device/functions.h and device/philox.h.
#pragma once

#include <string>
#include <vector>

#include "../../core/program.h"

namespace heddle::cuda {

/// A value's type in registers: the 16-bit floats are float, i8 and u8 int.
const char* registerType(DType dtype);
/// An element's type in memory.
const char* memoryType(DType dtype);
/// The type a reduction accumulates in.
const char* accumulatorType(DType dtype);
int64_t accumulatorBytes(DType dtype);

/// What an element read from memory is in a register, and the other way round.
std::string fromMemory(DType dtype, const std::string& element);
std::string toMemory(DType dtype, const std::string& value);

/// A constant of `dtype`, cast from f64 as `cast` does.
std::string literal(DType dtype, double value);

/// The functor that combines (device/functions.h), an accumulator's first value, and what it ends as in a register.
const char* combination(Reduction reduction);
std::string identityOf(Reduction reduction, DType dtype);
std::string fromAccumulator(DType dtype, const std::string& accumulator);

/// The value of an instruction that is no load, iota, constant or reduce, from the texts of its arguments.
std::string apply(const Program& program, int position, const std::vector<std::string>& args);

}  // namespace heddle::cuda
