// The arena's growth, and a device's rest when its last environment goes.
#include "device.h"

namespace heddle {

Device::Device(Backend& backend)
    : backend(backend), pool(std::make_shared<Pool>(backend, backend.describe().memoryBytes)), executor(backend) {}

BufferPointer Device::arena(Priority priority, const Lane& lane, size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes == 0) return nullptr;
  const auto index = static_cast<size_t>(lane.index);
  if (arenas_.size() <= index) arenas_.resize(index + 1);
  BufferPointer& arena = arenas_[index][static_cast<size_t>(priority)];
  if (arena && arena->bytes >= bytes) return arena;
  // No run uses it: its memory is the first that the larger one may take.
  if (arena.use_count() == 1) arena = nullptr;
  arena = pool->allocate(bytes, "arena");
  return arena;
}

size_t Device::arenaBytes() const {
  const std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& lane : arenas_)
    for (const BufferPointer& arena : lane) bytes += arena ? arena->bytes : 0;
  return bytes;
}

void Device::rest() {
  executor.stop();
  const std::lock_guard lock(mutex_);
  arenas_ = {};
  pool->trim();
}

}  // namespace heddle
