// Cuts memory that is slow to get, in large chunks, into blocks; neighbours that are free become one again.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <unordered_map>

namespace heddle {

/// Best fit over chunks of a source. Blocks are aligned to 256 bytes. For any thread.
class Heap {
 public:
  /// `take` gives a chunk or nullptr, `give` takes one back; neither throws.
  Heap(std::function<void*(size_t)> take, std::function<void(void*)> give)
      : take_(std::move(take)), give_(std::move(give)) {}
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// nullptr where no free block is large enough and the source has no further chunk.
  void* allocate(size_t bytes) noexcept;
  /// A chunk that becomes free as a whole goes back to the source.
  void free(void* memory) noexcept;

 private:
  struct Chunk;
  struct Block {
    char* memory;
    size_t bytes;
    bool used;
    std::list<Chunk>::iterator chunk;
  };
  using Position = std::list<Block>::iterator;

  struct Smaller {
    using is_transparent = void;
    bool operator()(Position a, Position b) const {
      return a->bytes != b->bytes ? a->bytes < b->bytes : a->memory < b->memory;
    }
    bool operator()(Position a, size_t bytes) const { return a->bytes < bytes; }
  };
  using FreeBlocks = std::set<Position, Smaller>;

  struct Chunk {
    FreeBlocks* free;         // where its free blocks are found
    std::list<Block> blocks;  // in the order of their addresses, without gaps
  };

  void* allocateLocked(size_t bytes);
  /// The one block of a new chunk, not yet among the free ones. Throws where the heap's own books find no memory.
  bool addChunk(size_t bytes, FreeBlocks& free, Position& block);

  std::function<void*(size_t)> take_;
  std::function<void(void*)> give_;
  std::mutex mutex_;
  std::list<Chunk> chunks_;
  // Small blocks have chunks of their own, so that they do not keep large ones from becoming whole again.
  FreeBlocks small_, large_;
  std::unordered_map<void*, Position> used_;
};

}  // namespace heddle
