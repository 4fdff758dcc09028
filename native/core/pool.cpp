// Blocks come from the cache, else from the device; a failed attempt empties the cache and is made once more.
#include "pool.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <map>

namespace heddle {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
// No device has more; above it the arithmetic of size classes would overflow.
constexpr size_t kLargestRequest = size_t{1} << 50;

std::string readable(size_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) value /= 1024, unit++;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

}  // namespace

Buffer::~Buffer() { pool_->giveBack(this); }

/// Four classes per power of two below 1 MiB, eight above it in whole huge pages: at most a quarter is lost to rounding
/// for small blocks, an eighth for blocks beyond 16 MiB.
size_t Pool::sizeClass(size_t bytes) {
  const size_t request = std::max(bytes, kAlignment);
  const bool large = request > (kHugePage >> 1);
  const size_t step =
      large ? std::max(kHugePage, std::bit_floor(request) / 8) : std::max(kAlignment, std::bit_floor(request) / 4);
  return (request + step - 1) / step * step;
}

BufferPointer Pool::allocate(size_t bytes, const std::string& label) {
  const std::lock_guard lock(mutex_);
  if (bytes > kLargestRequest) throw outOfMemory(bytes, label);
  const size_t blockBytes = sizeClass(bytes);
  void* data = take(blockBytes);
  if (!data) {
    retries_++;
    trimLocked();
    data = take(blockBytes);
  }
  if (!data) throw outOfMemory(bytes, label);
  BufferPointer buffer;
  try {
    // Grown first, so that nothing can throw once the buffer exists.
    if (live_.size() == live_.capacity()) live_.reserve(2 * live_.size() + 16);
    buffer = std::make_shared<Buffer>(shared_from_this(), data, bytes, blockBytes, label);
  } catch (...) {
    reserved_ -= blockBytes;
    backend_.free(data, blockBytes);
    throw;
  }
  buffer->position_ = live_.size();
  live_.push_back(buffer.get());
  allocated_ += blockBytes;
  peak_ = std::max(peak_, allocated_);
  return buffer;
}

void* Pool::take(size_t blockBytes) {
  if (const auto found = cached_.find(blockBytes); found != cached_.end() && !found->second.empty()) {
    void* block = found->second.back();
    found->second.pop_back();
    return block;
  }
  if (blockBytes > limit_ || reserved_ > limit_ - blockBytes) return nullptr;
  void* block = backend_.allocate(blockBytes);
  if (block) reserved_ += blockBytes;
  return block;
}

void Pool::giveBack(Buffer* buffer) noexcept {
  const std::lock_guard lock(mutex_);
  live_[buffer->position_] = live_.back();
  live_[buffer->position_]->position_ = buffer->position_;
  live_.pop_back();
  allocated_ -= buffer->blockBytes;
  try {
    if (reserved_ <= limit_) {
      cached_[buffer->blockBytes].push_back(buffer->data);
      return;
    }
  } catch (const std::bad_alloc&) {
    // Without memory to remember the block it goes straight back to the device.
  }
  reserved_ -= buffer->blockBytes;
  backend_.free(buffer->data, buffer->blockBytes);
}

void Pool::trim() {
  const std::lock_guard lock(mutex_);
  trimLocked();
}

void Pool::trimLocked() noexcept {
  for (auto& [blockBytes, blocks] : cached_) {
    for (void* block : blocks) {
      reserved_ -= blockBytes;
      backend_.free(block, blockBytes);
    }
    blocks.clear();
  }
}

void Pool::setMemoryLimit(size_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
  if (reserved_ > limit_) trimLocked();
}

PoolStatistics Pool::statistics() const {
  const std::lock_guard lock(mutex_);
  return {allocated_, reserved_, peak_, limit_, retries_};
}

std::vector<Holder> Pool::holders() const {
  const std::lock_guard lock(mutex_);
  return holdersLocked();
}

std::vector<Holder> Pool::holdersLocked() const {
  std::map<std::string, size_t> byLabel;
  for (const Buffer* buffer : live_) byLabel[buffer->label] += buffer->blockBytes;
  std::vector<Holder> holders;
  for (const auto& [label, bytes] : byLabel) holders.push_back({label, bytes});
  std::stable_sort(holders.begin(), holders.end(), [](const Holder& a, const Holder& b) { return a.bytes > b.bytes; });
  return holders;
}

Error Pool::outOfMemory(size_t bytes, const std::string& label) const {
  constexpr size_t kListed = 8;
  std::string message = "out of memory: " + readable(bytes) + " for " + label + " do not fit; " + readable(allocated_) +
                        " of " + readable(limit_) + " are in use";
  const std::vector<Holder> holders = holdersLocked();
  if (!holders.empty()) message += ", most by:";
  for (size_t i = 0; i < std::min(kListed, holders.size()); i++)
    message += "\n  " + readable(holders[i].bytes) + "  " + holders[i].label;
  message += "\nDispose of tensors, lower the batch size, or raise the memory limit.";
  return Error(ErrorCode::outOfMemory, message);
}

}  // namespace heddle
