// One thread's evaluation of a fused program: its position in the walk, its registers, and the phases on a tile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "executable.h"

namespace heddle::fused {

class Worker {
 public:
  static size_t scratchBytes(const Executable& executable);

  /// `scratch`: scratchBytes() bytes, 64-byte aligned, this thread's alone. Evaluates what holds for the whole run.
  Worker(const Executable& executable, const RunOperands& operands, char* scratch);

  /// Everything of the kept tiles [begin, end).
  void evaluate(int64_t begin, int64_t end);
  /// The reduction of one kept tile over the reduced tiles [begin, end), left in `accumulators`.
  void accumulate(int64_t tile, int64_t begin, int64_t end, int64_t* accumulators);
  /// The rest of a kept tile, from `parts` lists of accumulators that lie `stride` words apart.
  void complete(int64_t tile, const int64_t* accumulators, int64_t parts, int64_t stride);

 private:
  struct Window {
    int64_t rows;
    int64_t columns;
  };

  void moveTo(int64_t tile);
  void reduceTiles(int64_t begin, int64_t end, int64_t* accumulators);
  void finish(const int64_t* accumulators);
  Window tile() const;
  Window windowOf(const Phase& phase) const;
  void run(const Phase& phase, Window window);
  bool grows(int value, int64_t elements);
  void prefetch(const Phase& phase, Window window) const;
  void stream(const Phase& phase, const Step& step, int64_t bytes) const;
  void runStep(const Phase& phase, const Step& step, Window window);

  const Executable& executable_;
  void** values_;
  int64_t* addresses_;    // per access: an address, or an iota's value
  int64_t* origins_;      // addresses at the first coordinate
  int64_t* keptIndices_;  // per level
  int64_t* reducedIndices_;
  int64_t* resident_;  // per value: elements a resident load has in its register
  int64_t* accumulators_;
};

}  // namespace heddle::fused
