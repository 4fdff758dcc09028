// The caching allocator of a device: size classes, statistics, a limit, and errors that say who holds the memory.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend.h"
#include "buffer.h"

namespace heddle {

struct PoolStatistics {
  size_t allocated;  // in live buffers, as size classes
  size_t reserved;   // taken from the device: allocated and cached
  size_t peak;       // highest `allocated` so far
  size_t limit;
  size_t retries;  // allocations that failed until the cache was given back
};

struct Holder {
  std::string label;
  size_t bytes;
};

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(Backend& backend, size_t limit) : backend_(backend), limit_(limit) {}
  ~Pool() { trim(); }

  /// Throws Error outOfMemory, naming the largest holders, where neither the cache nor the device has the memory.
  BufferPointer allocate(size_t bytes, const std::string& label);

  /// Gives every cached block back to the device.
  void trim();
  void setMemoryLimit(size_t bytes);
  PoolStatistics statistics() const;
  /// Live bytes by label, largest first.
  std::vector<Holder> holders() const;

  /// The size class an allocation of `bytes` is served from.
  static size_t sizeClass(size_t bytes);

 private:
  friend class Buffer;
  void giveBack(Buffer* buffer) noexcept;
  void* take(size_t blockBytes);
  void trimLocked() noexcept;
  std::vector<Holder> holdersLocked() const;
  Error outOfMemory(size_t bytes, const std::string& label) const;

  Backend& backend_;
  mutable std::mutex mutex_;
  std::unordered_map<size_t, std::vector<void*>> cached_;
  std::vector<Buffer*> live_;  // each at its own `position_`
  size_t allocated_ = 0;
  size_t reserved_ = 0;
  size_t peak_ = 0;
  size_t limit_;
  size_t retries_ = 0;
};

}  // namespace heddle
