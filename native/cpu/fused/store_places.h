// Where the results of a fused program's tiles are computed: in memory at once, or in a register, from where they go
// to memory through the caches or past them.
#pragma once

#include "classification.h"
#include "executable.h"
#include "phase_tile.h"

namespace heddle::fused {

/// Whether a result of that dtype is larger than the caches.
bool beyondCaches(const Program& program, DType dtype);
/// Whether some of a program's results can be stored past the caches and are so large that this is worth it.
bool streams(const Program& program);

class StorePlaces {
 public:
  StorePlaces(const Program& program, const Classification& classes, const PhaseTile& tile, Stores stores)
      : program_(program), classes_(classes), tile_(tile), stores_(stores) {}

  /// The store whose memory may take instruction `i`'s result as it is computed, or -1. Memory that a load still reads
  /// later in the block may be the store's own (in place), so the step must be the last reader. `moves`: a load of
  /// uninterpreted elements; `turned`: one across its direction, which streams by itself.
  int direct(const Phase& phase, const PhaseContents& state, int i, bool moves, bool turned = false) const;
  /// Whether a store writes tiles as they lie in a register past the caches.
  bool past(const Phase& phase, int store) const;

 private:
  int lastUse(const PhaseContents& state, int load) const;

  const Program& program_;
  const Classification& classes_;
  const PhaseTile& tile_;
  const Stores stores_;
};

}  // namespace heddle::fused
