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
    rows,      // neighbouring threads on neighbouring reduced coordinates
    columns,   // neighbouring threads on neighbouring kept coordinates
  };
  Kind kind = Kind::elements;

  std::vector<Access> accesses;
  std::vector<int> accessOf;  // per instruction, or -1
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
  /// The reduction is cut into this many parts that a second kernel combines.
  int64_t parts = 1;

  Phase before;  // at every coordinate of a reduction, its argument included
  Phase after;   // once per kept coordinate; without a reduction everything

  /// Blocks that would cover everything once.
  int64_t tiles() const;
  int64_t packs() const;  // on the axes of the packs' side
};

Schedule planSchedule(const Program& program);

}  // namespace heddle::cuda
