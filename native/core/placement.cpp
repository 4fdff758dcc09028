// Greedy placements in several orders, and the mending of an order that ends above the bound.
#include "placement.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace heddle {

namespace {

/// Positions of blocks.
using Order = std::vector<size_t>;

constexpr size_t kMostAttempts = 48;
/// How close to the bound an arrangement is good enough.
constexpr double kClose = 1.01;

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

bool closeTo(size_t bytes, size_t bound) { return static_cast<double>(bytes) <= static_cast<double>(bound) * kClose; }

/// Attempts at a better order, fewer where there are so many blocks that they would take seconds.
size_t attemptsAt(size_t blocks) {
  const auto count = static_cast<double>(blocks);
  return std::min(kMostAttempts, static_cast<size_t>(std::ceil(4e7 / (count * count + 1))));
}

/// Puts each block, in the given order, into the tightest gap between those alive at the same time.
Arrangement arrange(const std::vector<Block>& blocks, const Order& order) {
  Arrangement result{std::vector<size_t>(blocks.size()), 0};
  Order placed;  // by offset
  for (const size_t position : order) {
    const Block& block = blocks[position];
    const size_t wanted = aligned(block.bytes);
    size_t end = 0, offset = 0, tightest = std::numeric_limits<size_t>::max();
    bool fits = false;
    for (const size_t other : placed) {
      if (blocks[other].first > block.last || block.first > blocks[other].last) continue;
      const size_t start = result.offsets[other];
      if (start >= end && start - end >= wanted && start - end < tightest) {
        offset = end;
        tightest = start - end;
        fits = true;
      }
      end = std::max(end, start + aligned(blocks[other].bytes));
    }
    if (!fits) offset = end;
    result.offsets[position] = offset;
    result.bytes = std::max(result.bytes, offset + wanted);
    const auto above = std::upper_bound(placed.begin(), placed.end(), offset,
                                        [&](size_t value, size_t other) { return value < result.offsets[other]; });
    placed.insert(above, position);
  }
  return result;
}

/// Places the blocks that reach the top of the arena first from now on, as long as that may help: they are those for
/// which the order left no gap.
Arrangement improve(const std::vector<Block>& blocks, Order order, const Arrangement& start, size_t bound) {
  Arrangement best = start, arranged = start;
  for (size_t attempt = 0; attempt < attemptsAt(blocks.size()) && !closeTo(best.bytes, bound); attempt++) {
    std::stable_partition(order.begin(), order.end(), [&](size_t position) {
      return arranged.offsets[position] + aligned(blocks[position].bytes) == arranged.bytes;
    });
    arranged = arrange(blocks, order);
    if (arranged.bytes < best.bytes) best = arranged;
  }
  return best;
}

template <typename Before>
Order sorted(const std::vector<Block>& blocks, Before before) {
  Order order(blocks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return before(blocks[a], blocks[b]); });
  return order;
}

}  // namespace

size_t largestLiveBytes(const std::vector<Block>& blocks) {
  std::map<int64_t, int64_t> changes;  // by step
  for (const Block& block : blocks) {
    changes[block.first] += static_cast<int64_t>(aligned(block.bytes));
    changes[block.last + 1] -= static_cast<int64_t>(aligned(block.bytes));
  }
  int64_t live = 0, most = 0;
  for (const auto& [step, change] : changes) {
    live += change;
    most = std::max(most, live);
  }
  return static_cast<size_t>(most);
}

Arrangement placeBlocks(const std::vector<Block>& blocks) {
  const auto life = [](const Block& block) { return block.last - block.first; };
  const auto area = [&](const Block& block) {
    return static_cast<double>(block.bytes) * static_cast<double>(life(block) + 1);
  };
  struct Start {
    Order order;
    Arrangement arranged;
  };
  std::vector<Start> starts;
  const auto add = [&](const auto& before) {
    Order order = sorted(blocks, before);
    Arrangement arranged = arrange(blocks, order);
    starts.push_back({std::move(order), std::move(arranged)});
  };
  add([](const Block& a, const Block& b) { return a.bytes != b.bytes ? a.bytes > b.bytes : a.first < b.first; });
  add([&](const Block& a, const Block& b) { return life(a) != life(b) ? life(a) > life(b) : a.bytes > b.bytes; });
  add([&](const Block& a, const Block& b) { return area(a) != area(b) ? area(a) > area(b) : a.first < b.first; });
  add([](const Block& a, const Block& b) { return a.first != b.first ? a.first < b.first : a.bytes > b.bytes; });
  std::stable_sort(starts.begin(), starts.end(),
                   [](const Start& a, const Start& b) { return a.arranged.bytes < b.arranged.bytes; });
  const size_t bound = largestLiveBytes(blocks);
  Arrangement best = starts.front().arranged;
  for (const Start& start : starts) {
    if (closeTo(best.bytes, bound)) break;
    const Arrangement found = improve(blocks, start.order, start.arranged, bound);
    if (found.bytes < best.bytes) best = found;
  }
  return best;
}

}  // namespace heddle
