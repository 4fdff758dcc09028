// How the rows of a matrix are shared out to threads.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "launch.h"

namespace heddle::cuda {

/// The blocks that kernels over rows are launched with: where a row takes at most a warp, and at most.
inline constexpr int kWarpRowThreads = 128;
inline constexpr int kMostRowThreads = 512;

/// The blocks of a kernel over rows that have to fit a multiprocessor, for __launch_bounds__: f64 gets the registers it
/// needs, elsewhere the compiler finds its way without spills (0).
template <typename T>
inline constexpr int kLeastRowBlocks = sizeof(T) == 8 ? 1 : 0;

/// `lanes` threads share a row (see device/group.h), each with `packs` packs at a time.
struct RowShare {
  int packs;
  int lanes;

  unsigned threads() const { return static_cast<unsigned>(lanes > 32 ? lanes : kWarpRowThreads); }
  int64_t rowsPerBlock() const { return lanes > 32 ? 1 : kWarpRowThreads / lanes; }
  unsigned blocks(int64_t rows) const { return gridFor(rows, rowsPerBlock()); }
};

/// Packs that a row may touch on the matrix's grid.
inline int64_t packsOf(int64_t size, int64_t width) {
  return size % width == 0 ? size / width : (size + 2 * width - 2) / width;
}

/// As few threads as possible up to a warp, then as few packs each.
inline RowShare shareOf(int64_t packs, int each) {
  const int64_t lanes = (packs + each - 1) / each;
  if (lanes <= 32) return {each, static_cast<int>(std::bit_ceil(static_cast<uint64_t>(std::max(lanes, int64_t{1}))))};
  return {each, static_cast<int>((lanes + 31) / 32 * 32)};
}

/// The packs that a thread has where shareHeldRow gives a row a block: half of the most leaves room for more warps,
/// which hide one another's barriers.
constexpr int packsInBlock(int most) { return std::max(most / 2, 2); }
/// The largest block that it gives a kernel for `packs` of them.
constexpr int heldRowThreads(int packs, int most) {
  return packs > packsInBlock(most) ? kWarpRowThreads : kMostRowThreads;
}

/// For rows that stay in registers, from two to `most` packs of a thread (a power of two): a warp where it can hold
/// one, else a block. `packs` is 0 where no block can.
inline RowShare shareHeldRow(int64_t packs, int most) {
  for (int each = 2; each <= most; each *= 2)
    if (packs <= 32 * each) return shareOf(packs, each);
  const int each = packsInBlock(most);
  if (packs <= int64_t{kMostRowThreads} * each) return shareOf(packs, each);
  return {0, 0};
}

/// For rows that are walked, `each` packs of a thread in flight: up to four rounds of a warp, then a block.
inline RowShare shareWalkedRow(int64_t packs, int each) {
  if (packs <= int64_t{32} * each) return shareOf(packs, each);
  if (packs <= int64_t{4 * 32} * each) return {each, 32};
  return shareOf(std::min(packs, int64_t{kMostRowThreads} * each), each);
}

}  // namespace heddle::cuda
