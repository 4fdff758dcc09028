// A stable sort of positions by key, which brings what belongs together next to one another in its own order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace heddle::cuda {

/// Keys and the positions they came from, ascending by key, equal keys by position.
struct Sorted {
  const uint32_t* keys;
  const uint32_t* positions;  // null: each its own
};

/// Sorts `count` keys below `limit`, eight bits at a time (radix sort from the lowest digit). Its result depends on the
/// keys only. Each pass moves 24 bytes per key.
class StableSort {
 public:
  /// Throws Error unsupported, naming the op, for more than 2^31 - 1 keys or a limit above 2^32 - 1.
  StableSort(const char* op, int64_t count, int64_t limit);

  size_t workspaceBytes() const;
  /// Where in the workspace the keys have to be before `run`.
  uint32_t* keys(void* workspace) const { return static_cast<uint32_t*>(workspace); }
  /// Queues the sort. The result lies in the workspace; the keys are lost.
  Sorted run(void* workspace) const;

 private:
  int64_t stride() const;  // between the workspace's arrays of keys and positions, in elements

  const char* op_;
  uint32_t count_, tiles_;
  int passes_ = 0;
};

}  // namespace heddle::cuda
