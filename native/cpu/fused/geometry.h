// How a fused program's loop nest is walked: axes merged, and two of them cut into tiles that blocks are evaluated on.
#pragma once

#include <cstdint>
#include <vector>

#include "../../core/walk.h"

namespace heddle::fused {

/// One loop around the tiles: `count` steps that advance every access by its stride.
struct Level {
  int64_t count;
  std::vector<int64_t> steps;  // per access, in units (bytes, or 1 for an iota)
};

/// The tile's two axes, `row` outside `column`; an axis that is missing has extent 1.
struct Geometry {
  bool keptEmpty = false;     // no coordinate to compute
  bool reducedEmpty = false;  // results are the reduction's identity
  Axis row;
  Axis column;
  int64_t tileRows = 1;
  int64_t tileColumns = 1;
  std::vector<Level> kept;     // innermost first
  std::vector<Level> reduced;  // innermost first
  std::vector<bool> uniform;   // per access: the same at every coordinate
  int rowLevel = -1;  // position of the row's loop in kept or reduced (by row.reduced), -1 where one tile covers it
  int columnLevel = -1;

  int64_t keptTiles() const;
  int64_t reducedTiles() const;
};

/// Whether the reduction's argument is memory as it lies, which nothing else reads meanwhile.
bool reducesMemory(const Program& program);

/// `block`: the most elements of a tile.
Geometry planGeometry(const Program& program, const std::vector<Access>& accesses, int64_t block);

}  // namespace heddle::fused
