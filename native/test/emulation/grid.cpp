// The scheduler of a block's threads, and what its barriers and warp intrinsics wait for.
#include "grid.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "fiber.h"

namespace heddle::emulation {

Position position;

namespace {

constexpr unsigned kMostThreads = 1024;
constexpr size_t kMostShared = 227 * 1024;

enum class Waiting { none, block, warp };

struct Copy {
  void* to;
  const void* from;
  size_t bytes, filled;
};

struct Thread {
  Fiber fiber;
  Position position;
  std::vector<Copy> copies;  // started and not waited for
  Waiting waiting = Waiting::none;
  bool predicate = false;
  // Of a warp intrinsic.
  unsigned mask = 0;
  unsigned source = 0;
  uint64_t value = 0;
  uint64_t result = 0;
  unsigned ballot = 0;
  uint64_t* gathered = nullptr;
};

/// One for the process: kernels run one at a time.
struct Scheduler {
  std::mutex mutex;
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<unsigned> order;
  std::vector<char> shared;
  const std::function<void()>* body = nullptr;
  Thread* current = nullptr;
  unsigned count = 0;  // threads of the block
  unsigned barrierResult = 0;
  std::mt19937 random;
  bool shuffled = false;
};

Scheduler& scheduler() {
  static Scheduler& scheduler = *new Scheduler;
  return scheduler;
}

[[noreturn]] void refuse(const char* what) {
  const Position& at = position;
  std::fprintf(stderr, "emulated kernel: %s (block %u,%u,%u of %u,%u,%u threads, thread %u,%u,%u)\n", what, at.block.x,
               at.block.y, at.block.z, at.blockSize.x, at.blockSize.y, at.blockSize.z, at.thread.x, at.thread.y,
               at.thread.z);
  std::abort();
}

void wait(Waiting kind) {
  Thread& self = *scheduler().current;
  self.waiting = kind;
  Fiber::yield();
}

/// Lets the lanes of a warp go on once all that the arriving one's mask names have come.
void completeWarp(Thread& arrived) {
  Scheduler& all = scheduler();
  const unsigned first = arrived.position.warp * 32;
  Thread* lanes[32] = {};
  for (unsigned lane = 0; lane < 32; lane++) {
    if (!(arrived.mask >> lane & 1)) continue;
    // Lanes beyond the block's end are named by full masks and not waited for.
    if (first + lane >= all.count) continue;
    Thread& other = *all.threads[first + lane];
    if (other.fiber.done()) refuse("a warp intrinsic names a lane that has returned");
    if (other.waiting != Waiting::warp) return;
    if (other.mask != arrived.mask) refuse("lanes of one warp intrinsic name different masks");
    lanes[lane] = &other;
  }
  unsigned ballot = 0;
  for (unsigned lane = 0; lane < 32; lane++)
    if (lanes[lane] && lanes[lane]->predicate) ballot |= 1u << lane;
  for (Thread* lane : lanes) {
    if (!lane) continue;
    Thread* source = lanes[lane->source & 31];
    lane->result = source ? source->value : lane->value;
    lane->ballot = ballot;
    if (lane->gathered)
      for (unsigned i = 0; i < 32; i++) lane->gathered[i] = lanes[i] ? lanes[i]->value : 0;
  }
  for (Thread* lane : lanes)
    if (lane) lane->waiting = Waiting::none;
}

Thread& arriveAtWarp(unsigned mask, uint64_t value, unsigned source, bool predicate, uint64_t* gathered) {
  Thread& self = *scheduler().current;
  if (!(mask >> self.position.lane & 1)) refuse("a lane calls a warp intrinsic whose mask leaves it out");
  self.mask = mask;
  self.value = value;
  self.source = source;
  self.predicate = predicate;
  self.gathered = gathered;
  self.waiting = Waiting::warp;
  completeWarp(self);
  if (self.waiting == Waiting::warp) Fiber::yield();
  return self;
}

/// Lets everyone go on where all threads that have not returned wait at the block's barrier.
bool releaseBarrier() {
  Scheduler& all = scheduler();
  unsigned waiting = 0, alive = 0, predicates = 0;
  for (unsigned i = 0; i < all.count; i++) {
    const Thread& thread = *all.threads[i];
    if (thread.fiber.done()) continue;
    alive++;
    if (thread.waiting != Waiting::block) continue;
    waiting++;
    predicates += thread.predicate;
  }
  if (waiting == 0 || waiting != alive) return false;
  all.barrierResult = predicates;
  for (unsigned i = 0; i < all.count; i++) all.threads[i]->waiting = Waiting::none;
  return true;
}

void runBlock(Scheduler& all, dim3 grid, dim3 block, uint3 at) {
  std::memset(all.shared.data(), 0xff, all.shared.size());
  for (unsigned i = 0; i < all.count; i++) {
    Thread& thread = *all.threads[i];
    thread.position = {{i % block.x, i / block.x % block.y, i / (block.x * block.y)}, at, block, grid, i % 32, i / 32};
    thread.waiting = Waiting::none;
    thread.copies.clear();
    thread.fiber.start([] { (*scheduler().body)(); });
  }
  for (;;) {
    bool progress = false, alive = false;
    if (all.shuffled) std::shuffle(all.order.begin(), all.order.begin() + all.count, all.random);
    for (unsigned i = 0; i < all.count; i++) {
      Thread& thread = *all.threads[all.order[i]];
      if (thread.fiber.done()) continue;
      alive = true;
      if (thread.waiting != Waiting::none) continue;
      all.current = &thread;
      position = thread.position;
      thread.fiber.resume();
      progress = true;
    }
    if (!alive) return;
    if (!releaseBarrier() && !progress) {
      position = all.current->position;
      refuse("threads wait at a barrier or warp intrinsic that the others never reach");
    }
  }
}

/// Memory for dynamic shared memory that starts at a multiple of 1024.
char* aligned(std::vector<char>& memory) {
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + (1024 - address % 1024) % 1024;
}

}  // namespace

void* dynamicShared() { return aligned(scheduler().shared); }

unsigned blockBarrier(bool predicate) {
  scheduler().current->predicate = predicate;
  wait(Waiting::block);
  return scheduler().barrierResult;
}

uint64_t shuffle(unsigned mask, uint64_t value, unsigned source) {
  return arriveAtWarp(mask, value, source, false, nullptr).result;
}

unsigned ballot(unsigned mask, bool predicate) { return arriveAtWarp(mask, 0, 0, predicate, nullptr).ballot; }

void gather(unsigned mask, uint64_t value, uint64_t (&values)[32]) { arriveAtWarp(mask, value, 0, false, values); }

void copyLater(void* to, const void* from, size_t bytes, size_t filled) {
  scheduler().current->copies.push_back({to, from, bytes, filled});
}

void finishCopies() {
  std::vector<Copy>& copies = scheduler().current->copies;
  for (const Copy& copy : copies) {
    std::memcpy(copy.to, copy.from, copy.bytes);
    std::memset(static_cast<char*>(copy.to) + copy.bytes, 0, copy.filled - copy.bytes);
  }
  copies.clear();
}

void runGrid(dim3 grid, dim3 block, size_t sharedBytes, const std::function<void()>& thread) {
  Scheduler& all = scheduler();
  const std::lock_guard lock(all.mutex);
  all.count = block.x * block.y * block.z;
  if (all.count == 0 || all.count > kMostThreads || sharedBytes > kMostShared) refuse("its launch asks for too much");
  while (all.threads.size() < all.count) {
    all.threads.push_back(std::make_unique<Thread>());
    all.order.push_back(static_cast<unsigned>(all.order.size()));
  }
  all.order.resize(all.threads.size());
  std::iota(all.order.begin(), all.order.end(), 0u);
  // Exactly as large as asked for, so that a sanitizer sees what lies beyond.
  all.shared = std::vector<char>(sharedBytes + 1024);
  all.body = &thread;
  const char* seed = std::getenv("HEDDLE_CUDA_EMULATION_SEED");
  all.shuffled = seed != nullptr;
  if (seed) all.random.seed(static_cast<unsigned>(std::atoi(seed)));

  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  std::vector<uint64_t> order(all.shuffled ? blocks : 0);
  std::iota(order.begin(), order.end(), uint64_t{0});
  std::shuffle(order.begin(), order.end(), all.random);
  for (uint64_t i = 0; i < blocks; i++) {
    const uint64_t id = all.shuffled ? order[i] : i;
    runBlock(all, grid, block,
             {static_cast<unsigned>(id % grid.x), static_cast<unsigned>(id / grid.x % grid.y),
              static_cast<unsigned>(id / (uint64_t{grid.x} * grid.y))});
  }
}

}  // namespace heddle::emulation
