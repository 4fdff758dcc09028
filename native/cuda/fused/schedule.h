// How the coordinates of a fused program are given to threads.
#pragma once

#include "../../core/walk.h"

namespace heddle::cuda {

/// What is evaluated when: `needed` per instruction, and the stores made then.
struct Phase {
  std::vector<bool> needed;
  std::vector<int> stores;
};

struct Schedule {
  enum class Kind {
    elements,  // every coordinate on its own
    turned,    // the same in tiles, through which loads pass that run along another axis than the stores
    rows,      // neighbouring threads on neighbouring reduced coordinates
    columns,   // neighbouring threads on neighbouring kept coordinates
  };
  Kind kind = Kind::elements;

  std::vector<Access> accesses;
  std::vector<int> accessOf;  // per instruction, or -1
  std::vector<bool> aligned;  // per access: every pack lies at a multiple of its own size
  // Innermost first. Without a reduction all axes are kept.
  std::vector<Axis> kept;
  std::vector<Axis> reduced;
  int64_t keptCount = 1;     // coordinates; 0 where there is nothing to compute
  int64_t reducedCount = 1;  // 0 where results are the reduction's identity
  bool wide = false;         // offsets or counts do not fit 31 bits

  /// Neighbours on the innermost axis (of `reduced` in rows, else of `kept`) that a thread takes at once.
  int pack = 1;
  unsigned threads = 256;
  /// rows: threads on one kept coordinate, a power of two up to 32, or the whole block.
  unsigned lanes = 1;
  /// columns: packs side by side in a block, a power of two; threads / width share their reduction.
  unsigned width = 1;
  /// turned: a tile's extents on the first two kept axes, of which stores run along the first and turned loads along
  /// the second, and per instruction whether it is such a load.
  int64_t tile[2] = {1, 1};
  std::vector<bool> turned;
  /// The reduction is cut into this many parts that a second kernel combines.
  int64_t parts = 1;

  Phase before;  // at every coordinate of a reduction, its argument included
  Phase after;   // once per kept coordinate; without a reduction everything

  /// Elements from one row of a tile of `unit` bytes each to the next, so that a warp reads its columns from 32 banks.
  int64_t tileStride(int64_t unit) const;
  /// Blocks that would cover everything once.
  int64_t tiles() const;
  int64_t packs() const;  // on the axes of the packs' side
};

Schedule planSchedule(const Program& program, Specs inputs, Specs outputs);

}  // namespace heddle::cuda
