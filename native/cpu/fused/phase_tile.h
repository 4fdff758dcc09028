// The tile of a fused program as a phase walks it: how far apart its elements lie in an operand.
#pragma once

#include "executable.h"

namespace heddle::fused {

class PhaseTile {
 public:
  explicit PhaseTile(const Geometry& geometry) : geometry_(geometry) {}

  /// With rows alone the tile is one row of them, so that loops run along it.
  int64_t rowStride(const Phase& phase, int access) const {
    return phase.rows && phase.columns ? geometry_.row.strides[static_cast<size_t>(access)] : 0;
  }
  int64_t columnStride(const Phase& phase, int access) const {
    if (phase.columns) return geometry_.column.strides[static_cast<size_t>(access)];
    return phase.rows ? geometry_.row.strides[static_cast<size_t>(access)] : 0;
  }
  bool varies(const Phase& phase, int access) const {
    return rowStride(phase, access) != 0 || columnStride(phase, access) != 0;
  }
  bool flat(const Phase& phase, int access) const {
    if (columnStride(phase, access) != 1) return false;
    if (!(phase.rows && phase.columns)) return true;
    return geometry_.columnLevel < 0 && rowStride(phase, access) == geometry_.column.extent;
  }

 private:
  const Geometry& geometry_;
};

}  // namespace heddle::fused
