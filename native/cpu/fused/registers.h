// Places block values in registers: memory of a tile's size, reused as soon as a value has had its last use.
#pragma once

#include <cstdint>
#include <vector>

#include "executable.h"

namespace heddle::fused {

/// Where a value lives and how wide one element is.
struct ValuePlace {
  int bytes;
  bool single;    // one element
  bool memory;    // an operand's memory or a constant: needs no register
  bool resident;  // keeps its register for the whole run
};

class RegisterPlan {
 public:
  RegisterPlan(const std::vector<ValuePlace>& values, int64_t block) : values_(values), block_(block) {}

  /// `kept` is read after the last step, `given` is written before the first.
  void addPhase(const Phase& phase, int kept, int given);
  void finish(Executable& executable);

 private:
  void place(int value);
  void release(int value);

  const std::vector<ValuePlace>& values_;
  int64_t block_;
  std::vector<int64_t> slotBytes_;                                         // per slot: bytes per element
  std::vector<std::vector<int>> free_ = std::vector<std::vector<int>>(9);  // per element width
  std::vector<int> slotOf_;                                                // per value
  std::vector<int> singles_;                                               // values with a place of one element
};

}  // namespace heddle::fused
