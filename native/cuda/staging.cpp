// Sizes are powers of two from 4 KiB, so that blocks fit again.
#include "staging.h"

#include <algorithm>
#include <bit>

namespace heddle::cuda {

namespace {
constexpr size_t kSmallest = 4096;
}

Staging::Block Staging::take(size_t bytes) {
  const size_t size = std::bit_ceil(std::max(bytes, kSmallest));
  {
    const std::lock_guard lock(mutex_);
    reclaim();
    const auto found =
        std::find_if(free_.begin(), free_.end(), [&](const Block& block) { return block.bytes == size; });
    if (found != free_.end()) {
      const Block block = *found;
      free_.erase(found);
      return block;
    }
  }
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, size, cudaHostAllocDefault), "reserving page-locked memory");
  return {memory, size};
}

void Staging::giveBack(Block block) noexcept {
  const std::lock_guard lock(mutex_);
  free_.push_back(block);
}

void Staging::giveBackAfter(Block block, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  cudaEvent_t event;
  if (events_.empty()) {
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  } else {
    event = events_.back();
    events_.pop_back();
  }
  lent_.push_back({block, event});
  check(cudaEventRecord(event, stream), "recording an event");
}

void Staging::reclaim() {
  while (!lent_.empty() && cudaEventQuery(lent_.front().event) == cudaSuccess) {
    free_.push_back(lent_.front().block);
    events_.push_back(lent_.front().event);
    lent_.pop_front();
  }
}

}  // namespace heddle::cuda
