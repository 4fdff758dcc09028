// The arena's growth, and a device's rest when its last environment goes.
#include "device.h"

namespace heddle {

Device::Device(Backend& backend)
    : backend(backend), pool(std::make_shared<Pool>(backend, backend.describe().memoryBytes)), executor(backend) {}

BufferPointer Device::arena(size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes == 0) return nullptr;
  if (arena_ && arena_->bytes >= bytes) return arena_;
  // No run uses it: its memory is the first that the larger one may take.
  if (arena_.use_count() == 1) arena_ = nullptr;
  arena_ = pool->allocate(bytes, "arena");
  return arena_;
}

size_t Device::arenaBytes() const {
  const std::lock_guard lock(mutex_);
  return arena_ ? arena_->bytes : 0;
}

void Device::rest() {
  executor.stop();
  const std::lock_guard lock(mutex_);
  arena_ = nullptr;
  pool->trim();
}

}  // namespace heddle
