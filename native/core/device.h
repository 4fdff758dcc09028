// A device of the process: its backend with the pool, the arena and the executor every environment shares.
#pragma once

#include <memory>
#include <mutex>

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

  /// The arena, grown to at least `bytes`. Runs in flight keep the one they were given. Throws Error outOfMemory.
  BufferPointer arena(size_t bytes);
  size_t arenaBytes() const;

  /// Ends the thread and gives back the memory nobody uses.
  void rest();

 private:
  mutable std::mutex mutex_;
  BufferPointer arena_;
};

}  // namespace heddle
