// Copies strided tensors into others of their shape, whatever the element.
#pragma once

#include <span>
#include <vector>

#include "../core/kernel.h"

namespace heddle::cuda {

/// A copy between two layouts of one shape. Strides are in elements of `bytes` bytes; what is read and what is written
/// do not overlap. Moves each element once, in units of up to 16 bytes where both sides allow it; where the two sides
/// run along different axes, tiles pass through shared memory, so that both are read and written in whole sectors.
class StridedCopy {
 public:
  /// One loop of the copy.
  struct Axis {
    int64_t extent, from, to;
  };

  StridedCopy(const std::vector<int64_t>& shape, const std::vector<int64_t>& from, const std::vector<int64_t>& to,
              int64_t bytes);

  /// Queues the copy, under the name `op` in errors.
  void run(const char* op, const void* from, void* to) const { run(op, std::span(&from, 1), to, 0); }
  /// Queues a copy of each source, the targets `step` elements behind one another.
  void run(const char* op, std::span<const void* const> sources, void* to, int64_t step) const;

 private:
  std::vector<Axis> axes_;  // the outermost first, by the target's strides; what runs on without a gap is one
  int64_t bytes_, count_ = 1;
  bool wide_ = false;  // offsets need 64 bits
  int turned_ = -1;    // the axis that sources run along, where it is not the target's innermost
};

}  // namespace heddle::cuda
