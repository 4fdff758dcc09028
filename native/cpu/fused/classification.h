// Which phase of a fused program evaluates which instructions, and what is known of their values.
#pragma once

#include <vector>

#include "geometry.h"

namespace heddle::fused {

struct PhaseContents {
  std::vector<bool> needed;  // per instruction
  std::vector<int> valueOf;  // per instruction: its value's number in this phase, or -1
  std::vector<int> stores;
  bool single = false;  // evaluates one element
};

struct Classification {
  std::vector<int> accessOf;     // per instruction, or -1
  std::vector<int> storeAccess;  // per store
  std::vector<bool> uniform;     // per instruction: the same at every coordinate
  std::vector<bool> onlyStored;  // per instruction: nothing else uses it
  PhaseContents once;
  PhaseContents before;
  PhaseContents after;
};

Classification classify(const Program& program, const std::vector<Access>& accesses, const Geometry& geometry);

}  // namespace heddle::fused
