// Page-locked host memory for copies to and from a device, kept for reuse: making it is slow.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include "runtime.h"

namespace heddle::cuda {

/// Blocks of page-locked memory. A block that the device still copies from is lent again only once it has.
class Staging {
 public:
  struct Block {
    void* memory;
    size_t bytes;
  };

  /// A block of at least `bytes`.
  Block take(size_t bytes);
  /// To be called once the device is done with it.
  void giveBack(Block block) noexcept;
  /// Gives it back as soon as the stream has come this far.
  void giveBackAfter(Block block, cudaStream_t stream);

 private:
  void reclaim();

  std::mutex mutex_;
  std::vector<Block> free_;
  struct Lent {
    Block block;
    cudaEvent_t event;
  };
  std::deque<Lent> lent_;  // in the order of the stream
  std::vector<cudaEvent_t> events_;
};

}  // namespace heddle::cuda
