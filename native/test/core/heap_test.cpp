// The heap under random traffic: blocks never overlap, memory that is free becomes whole, and runs out in order.
#include "../../core/heap.h"

#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <vector>

#include "core_test.h"

namespace heddle::test {
namespace {

/// Memory of a limited size, as a device's is.
struct Source {
  explicit Source(size_t limit) : limit(limit) {}
  void* take(size_t bytes) {
    if (bytes > limit - taken) return nullptr;
    void* memory = std::aligned_alloc(4096, bytes);
    sizes[memory] = bytes;
    taken += bytes;
    return memory;
  }
  void give(void* memory) {
    taken -= sizes.at(memory);
    sizes.erase(memory);
    std::free(memory);
  }
  const size_t limit;
  size_t taken = 0;
  std::map<void*, size_t> sizes;
};

constexpr size_t kMegabyte = size_t{1} << 20;

void testTraffic() {
  Source source(512 * kMegabyte);
  Heap heap([&](size_t bytes) { return source.take(bytes); }, [&](void* memory) { source.give(memory); });
  std::mt19937 random(1);
  std::map<char*, size_t> live;
  bool apart = true, aligned = true, inside = true;
  for (int i = 0; i < 50000; i++) {
    if (live.size() < 200 && random() % 2 == 0) {
      const size_t bytes = random() % 3 != 0 ? random() % 100000 + 1 : random() % (6 * kMegabyte) + 1;
      auto* memory = static_cast<char*>(heap.allocate(bytes));
      if (!memory) continue;
      aligned = aligned && reinterpret_cast<uintptr_t>(memory) % 256 == 0;
      const auto next = live.lower_bound(memory);
      apart = apart && (next == live.end() || memory + bytes <= next->first) &&
              (next == live.begin() || std::prev(next)->first + std::prev(next)->second <= memory);
      auto chunk = source.sizes.upper_bound(memory);
      inside = inside && chunk != source.sizes.begin() &&
               memory + bytes <= static_cast<char*>(std::prev(chunk)->first) + std::prev(chunk)->second;
      live.emplace(memory, bytes);
    } else if (!live.empty()) {
      const auto chosen = std::next(live.begin(), static_cast<std::ptrdiff_t>(random() % live.size()));
      heap.free(chosen->first);
      live.erase(chosen);
    }
  }
  expect(apart, "blocks lie apart");
  expect(inside, "blocks lie inside the source's chunks");
  expect(aligned, "blocks are aligned to 256 bytes");
  for (const auto& [memory, bytes] : live) heap.free(memory);
  expect(source.taken == 0, "what is free as a whole goes back");
}

void testLimits() {
  Source source(64 * kMegabyte);
  Heap heap([&](size_t bytes) { return source.take(bytes); }, [&](void* memory) { source.give(memory); });
  expect(heap.allocate(65 * kMegabyte) == nullptr, "more than there is gives nothing");
  // Three quarters of one chunk, freed in another order, are one block again.
  void* const whole = heap.allocate(60 * kMegabyte);
  heap.free(whole);
  void* const a = heap.allocate(20 * kMegabyte);
  void* const b = heap.allocate(20 * kMegabyte);
  void* const c = heap.allocate(20 * kMegabyte);
  expect(a && b && c, "chunks fill the source");
  expect(heap.allocate(20 * kMegabyte) == nullptr, "a full source gives nothing");
  heap.free(b);
  heap.free(a);
  heap.free(c);
  expect(source.taken == 0, "every chunk goes back");
  heap.free(nullptr);
  heap.free(&source);
  expect(heap.allocate(0) != nullptr, "nothing has an address too");
}

void testMerging() {
  Source source(16 * kMegabyte);
  Heap heap([&](size_t bytes) { return source.take(bytes); }, [&](void* memory) { source.give(memory); });
  // Small blocks share one chunk of 8 MiB.
  std::vector<void*> blocks;
  for (int i = 0; i < 8; i++) blocks.push_back(heap.allocate(kMegabyte));
  expect(source.taken == 8 * kMegabyte, "eight blocks share a chunk");
  heap.free(blocks[3]);
  heap.free(blocks[5]);
  heap.free(blocks[4]);
  void* const first = heap.allocate(kMegabyte);
  expect(first == blocks[3], "the freed neighbours are one block, cut from its start");
  expect(source.taken == 8 * kMegabyte, "no further chunk is taken");
}

}  // namespace

void testHeap() {
  testTraffic();
  testLimits();
  testMerging();
}

}  // namespace heddle::test
