// A fused program made ready to run: the walk, and per tile a list of block steps on numbered values.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "geometry.h"
#include "loops.h"

namespace heddle::fused {

/// One call of a loop on one tile.
struct Step {
  enum class Kind : uint8_t { load, repeat, count, compute, draw, store, stream };
  Kind kind;
  bool single = false;      // one element whatever the tile
  bool resident = false;    // a load or a count that is the same for every tile: done again only for more rows
  bool contiguous = false;  // draw: positions follow one another
  bool looksAhead = false;  // stream: asks for `Phase::aheadWithStores`
  int out = -1;
  int a = 0;
  int b = 0;
  int c = 0;
  int access = -1;
  int64_t rowStride = 0;  // of the memory side, in elements
  int64_t columnStride = 0;
  bool packed = true;  // load, repeat: the destination is packed, or its rows lie outRowStride apart
  int64_t outRowStride = 0;
  int64_t offset = 0;  // draw
  int64_t unit = 0;    // stream: bytes of an element
  Compute compute = nullptr;
  Load load = nullptr;
  StoreLoop store = nullptr;
  Stream stream = nullptr;
  Count count = nullptr;
  Draw draw = nullptr;
};

/// A value that is the memory of an access, at the current tile.
struct Binding {
  int value;
  int access;
};

/// Memory that is walked along its rows, of which the next tile, `toNext` bytes on, is asked for ahead.
struct Ahead {
  int access;
  int64_t unit;  // bytes of an element
  int64_t rowBytes;
  int64_t toNext;
  bool inOnePiece;  // its rows follow one another
};

/// Of what a stream step asks for, at most so many.
constexpr size_t kMostAheadWithStores = 4;

/// What is evaluated per tile. An axis that does not take part (a reduced one after the reduction) counts as one row.
struct Phase {
  bool rows = false;
  bool columns = false;
  std::vector<Binding> bindings;
  std::vector<Step> steps;
  std::vector<Ahead> ahead;
  std::vector<Ahead> aheadWithStores;  // as many bytes of each, in one piece, as a stream step writes
};

struct Executable {
  std::vector<Access> accesses;
  std::vector<int64_t> starts;  // per access: an iota's start
  Geometry geometry;
  Phase once;    // per run: what is the same at every coordinate
  Phase before;  // per reduced tile: up to the reduction
  Phase after;   // per kept tile: from the reduction on, or everything
  bool reduces = false;

  int values = 0;
  std::vector<std::pair<int, int64_t>> registers;  // value, byte offset in the registers
  std::vector<std::pair<int, size_t>> constants;   // value, position in `words`
  std::vector<int64_t> words;                      // constants as they lie in a register
  int64_t registerBytes = 0;
  int64_t bytesPerElement = 0;  // of registers, for one element of a tile

  // The reduction: values `reduceArgument` go into accumulators of class `accumulator`, and leave as `reduceResult`.
  int reduceArgument = -1;
  int reduceResult = -1;
  int64_t identity = 0;  // the accumulator's first bits
  bool alongRows = false;
  int64_t reduceRowStride = 0;  // of the argument, where its rows are memory that is not packed; otherwise 0
  Reduce reduce = nullptr;
  Reduce combine = nullptr;  // of accumulators
  Compute finish = nullptr;

  void (*streamEnd)() = nullptr;  // after the last tile, where stores pass the caches by

  int64_t keptWidth() const;  // accumulators per kept tile, at most
  /// Only moves memory, some of it across its direction.
  bool transposes() const;
};

/// Where results go that are larger than the caches: to memory through them, which fetches each line first, or past
/// them. Lines that were read a moment before are in them, so what is written in place goes through.
enum class Stores : uint8_t { ordinary, streaming };

/// Chooses loops, registers and the walk. `block`: the most elements of a tile.
Executable assemble(const Program& program, int64_t block, Stores stores);

}  // namespace heddle::fused
