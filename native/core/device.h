// A device of the process: its backend with the pool, the arena and the executor every environment shares.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "backend.h"
#include "executor.h"
#include "pool.h"

namespace heddle {

class Device {
 public:
  explicit Device(Backend& backend);

  Backend& backend;
  const std::shared_ptr<Pool> pool;
  Executor executor;

  /// The arena of all plans of that priority and lane, grown to at least `bytes`. Runs in flight keep the one they were
  /// given. Throws Error outOfMemory.
  BufferPointer arena(Priority priority, const Lane& lane, size_t bytes);
  size_t arenaBytes() const;

  /// Ends the thread and gives back the memory nobody uses.
  void rest();

 private:
  mutable std::mutex mutex_;
  // By lane and priority: a run of high priority interrupts others.
  std::vector<std::array<BufferPointer, 2>> arenas_;
};

}  // namespace heddle
