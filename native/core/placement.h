// Memory planning: from the life of each block to its offset in one arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace heddle {

/// Every storage begins at a multiple of so many bytes.
constexpr size_t kAlignment = 64;

/// A block of the arena, alive from the step that writes it to the last one that reads it, both included.
struct Block {
  size_t bytes;
  int64_t first, last;
};

struct Arrangement {
  std::vector<size_t> offsets;  // by block
  size_t bytes = 0;             // of the arena
};

/// Offsets for all blocks and the arena they need. Greedy by size, by life, by both and by start (Pisarchyk and Lee
/// 2020, "Efficient Memory Management for Deep Neural Net Inference"), each order mended where it ends above the bound;
/// the smallest arena is taken.
Arrangement placeBlocks(const std::vector<Block>& blocks);

/// The largest sum of bytes alive at one step: no arrangement needs less.
size_t largestLiveBytes(const std::vector<Block>& blocks);

}  // namespace heddle
