// The walks of a fused program over memory, and its loop axes with those merged that every walk takes as one.
#pragma once

#include <cstdint>
#include <vector>

#include "program.h"

namespace heddle {

/// One walk over memory (a load, a store) or over integers (an iota).
struct Access {
  enum class Kind : uint8_t { load, iota, store };
  Kind kind;
  int position;     // of the instruction, or of the store
  int64_t operand;  // the input or output it walks on
  int64_t unit;     // bytes per element; 1 for an iota
};

struct Axis {
  int64_t extent;
  bool reduced;
  std::vector<int64_t> strides;  // per access, in elements
};

/// Loads and iotas in the order of the instructions, then stores.
std::vector<Access> accessesOf(const Program& program);

/// Axes of extent above 1 (an empty one has no walk), merged.
std::vector<Axis> mergedAxes(const Program& program, const std::vector<Access>& accesses);

/// Per access the share of the coordinates at which it has an element of its own: what little memory it walks on counts
/// as little.
std::vector<double> sharesOf(const std::vector<Axis>& axes, size_t accesses);

/// The axis along which most of the memory is walked contiguously; there must be one.
size_t innermostAxis(const std::vector<Axis>& axes, const std::vector<Access>& accesses);

/// Whether these strides, one per loop axis, leave an element of a reduced axis.
bool movesOnReduced(const Program& program, const std::vector<int64_t>& strides);

/// Whether a store happens once per kept coordinate: of what comes after the reduction, and of a value that no reduced
/// axis changes, for it may be stored in place. Per store; all true without a reduction.
std::vector<bool> storesAfterReduce(const Program& program);

}  // namespace heddle
