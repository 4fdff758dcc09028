// Placement: blocks that live at the same time lie apart, and little is needed beyond what lives at once.
#include "../../core/placement.h"

#include <random>

#include "core_test.h"

namespace heddle::test {
namespace {

bool apart(const std::vector<Block>& blocks, const Arrangement& placed) {
  for (size_t a = 0; a < blocks.size(); a++) {
    if (placed.offsets[a] % kAlignment != 0 || placed.offsets[a] + blocks[a].bytes > placed.bytes) return false;
    for (size_t b = 0; b < a; b++) {
      const bool together = blocks[a].first <= blocks[b].last && blocks[b].first <= blocks[a].last;
      const bool overlap = placed.offsets[a] < placed.offsets[b] + blocks[b].bytes &&
                           placed.offsets[b] < placed.offsets[a] + blocks[a].bytes;
      if (together && overlap) return false;
    }
  }
  return true;
}

}  // namespace

void testPlacement() {
  std::mt19937 random(5);
  bool correct = true, tight = true;
  for (int round = 0; round < 50; round++) {
    std::vector<Block> blocks;
    for (int i = 0; i < 40; i++) {
      const int64_t first = random() % 60;
      blocks.push_back({random() % 6400 + 1, first, first + static_cast<int64_t>(random() % 8)});
    }
    const Arrangement placed = placeBlocks(blocks);
    const size_t live = largestLiveBytes(blocks);
    correct = correct && apart(blocks, placed) && placed.bytes >= live;
    tight = tight && static_cast<double>(placed.bytes) <= 1.35 * static_cast<double>(live);
  }
  expect(correct, "random lives are placed apart, inside the arena");
  expect(tight, "random lives take at most 1.35 times what lives at once");
  // 64 and 128 bytes that live together, then 192 in their place.
  const std::vector<Block> blocks{{60, 0, 1}, {128, 0, 1}, {192, 2, 3}};
  expect(placeBlocks(blocks).bytes == 192 && largestLiveBytes(blocks) == 192, "what follows takes the place");
  expect(placeBlocks({}).bytes == 0 && largestLiveBytes({}) == 0, "no blocks need nothing");
}

}  // namespace heddle::test
