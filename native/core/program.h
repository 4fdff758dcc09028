// The fused program as native code holds it: typed SSA over loop axes, decoded from words and validated.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernel.h"

namespace heddle {

/// One instruction; its result is the value whose number is the instruction's position.
struct Instruction {
  Opcode op;
  DType dtype;
  int argCount = 0;
  int args[3] = {};                      // earlier values
  int64_t input = 0;                     // load
  int64_t start = 0;                     // iota
  int64_t offset = 0;                    // random: blocks of 128 bits
  double value = 0;                      // constant
  Reduction reduction = Reduction::sum;  // reduce
  std::vector<int64_t> strides;          // load, iota: per axis, in elements
};

/// A value written to the output operand of the same position.
struct Store {
  int value;
  DType dtype;
  std::vector<int64_t> strides;
};

struct Program {
  std::vector<int64_t> extents;
  std::vector<bool> reduced;
  std::vector<Instruction> instructions;
  std::vector<Store> stores;
  int reduce = -1;                // position of the one reduce, or -1
  std::vector<bool> afterReduce;  // per instruction: does its value depend on the reduce
  std::vector<bool> usedAfter;    // per instruction: do stores of such values need it

  int64_t elements() const;  // coordinates of the loop nest
};

/// Decodes a program; throws Error(invalidPlan) unless every index is in range and before its use, ranks match, dtypes
/// are legal for their opcode and at most one reduce is there.
Program decodeProgram(std::span<const double> words);

/// Throws Error(invalidPlan) unless the loads and stores stay inside the operands and agree with their dtypes.
void checkOperands(const Program& program, Specs inputs, Specs outputs);

/// The opcode's name in the contract.
const char* opcodeName(Opcode op);

}  // namespace heddle
