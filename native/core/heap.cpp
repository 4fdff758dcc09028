// Everything that may throw comes before anything changes.
#include "heap.h"

#include <algorithm>
#include <new>

namespace heddle {

namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kLargestSmall = size_t{1} << 20;
constexpr size_t kSmallChunk = size_t{8} << 20;
constexpr size_t kLargeStep = size_t{2} << 20;

size_t roundUp(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

}  // namespace

Heap::~Heap() {
  for (const Chunk& chunk : chunks_) give_(chunk.blocks.front().memory);
}

void* Heap::allocate(size_t bytes) noexcept try {
  const std::lock_guard lock(mutex_);
  return allocateLocked(roundUp(std::max<size_t>(bytes, 1), kAlignment));
} catch (const std::bad_alloc&) {
  return nullptr;
}

void* Heap::allocateLocked(size_t bytes) {
  const bool small = bytes <= kLargestSmall;
  FreeBlocks& free = small ? small_ : large_;
  used_.reserve(used_.size() + 1);
  Position block;
  if (const auto found = free.lower_bound(bytes); found != free.end()) {
    block = *found;
  } else {
    if (!addChunk(bytes, free, block)) return nullptr;
  }
  // Of a large block only what can serve another large one is cut off.
  const size_t over = block->bytes - bytes;
  if (over >= (small ? kAlignment : kLargestSmall + kAlignment)) {
    const Position rest =
        block->chunk->blocks.insert(std::next(block), Block{block->memory + bytes, over, false, block->chunk});
    try {
      free.insert(rest);
    } catch (...) {
      block->chunk->blocks.erase(rest);
      throw;
    }
    // The order among the free blocks is by size: out before the size changes.
    free.erase(block);
    block->bytes = bytes;
  } else {
    free.erase(block);
  }
  used_.emplace(block->memory, block);
  block->used = true;
  return block->memory;
}

bool Heap::addChunk(size_t bytes, FreeBlocks& free, Position& block) {
  const size_t size = &free == &small_ ? kSmallChunk : roundUp(bytes, kLargeStep);
  chunks_.push_back({&free, {}});
  const auto chunk = std::prev(chunks_.end());
  char* memory = nullptr;
  try {
    chunk->blocks.push_back({nullptr, size, false, chunk});
    memory = static_cast<char*>(take_(size));
    block = chunk->blocks.begin();
    block->memory = memory;
    if (memory) free.insert(block);
  } catch (...) {
    if (memory) give_(memory);
    chunks_.erase(chunk);
    throw;
  }
  if (!memory) chunks_.erase(chunk);
  return memory != nullptr;
}

void Heap::free(void* memory) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = used_.find(memory);
  if (found == used_.end()) return;
  Position block = found->second;
  used_.erase(found);
  const auto chunk = block->chunk;
  block->used = false;
  if (const Position next = std::next(block); next != chunk->blocks.end() && !next->used) {
    chunk->free->erase(next);
    block->bytes += next->bytes;
    chunk->blocks.erase(next);
  }
  if (block != chunk->blocks.begin() && !std::prev(block)->used) {
    const Position previous = std::prev(block);
    chunk->free->erase(previous);
    previous->bytes += block->bytes;
    chunk->blocks.erase(block);
    block = previous;
  }
  if (chunk->blocks.size() == 1) {
    give_(block->memory);
    chunks_.erase(chunk);
    return;
  }
  try {
    chunk->free->insert(block);
  } catch (const std::bad_alloc&) {
    // Without memory for the books the block can not be given out again.
    block->used = true;
  }
}

}  // namespace heddle
