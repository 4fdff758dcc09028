// The fused op's CPU kernel: divides the tiles among threads, the reduction too where kept tiles are few.
#include "fused.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>

#include "executable.h"
#include "store_places.h"
#include "worker.h"

namespace heddle {
namespace {

using fused::Executable;
using fused::Stores;
using fused::Worker;

// A block's registers should stay in the first-level cache beside the memory that streams through it.
constexpr int64_t kRegisterBytes = 16 << 10;
constexpr int64_t kLargestBlock = 1024;
constexpr int64_t kSmallestBlock = 64;
// Where memory alone is the limit, longer runs of it are worth more than the cache: without registers, a few pages; in
// a transposition, tiles of 128 by 128, for each of their rows and columns costs an entry of the address translation.
constexpr int64_t kStreamBlock = 4096;
constexpr int64_t kTransposedBlock = 128 * 128;
// Below this many element-steps, waking threads costs more than it saves.
constexpr int64_t kSerialWork = 1 << 16;
// A reduction is cut into parts by its shape alone, never by the number of threads, so that its result is one.
constexpr int64_t kParts = 16;
constexpr int64_t kPartTiles = 4;

/// A thread's scratch memory. It grows to the largest program's need and stays in the thread's caches between programs.
class Scratch {
 public:
  char* atLeast(size_t bytes) {
    if (bytes > bytes_) {
      memory_.reset(static_cast<char*>(::operator new(bytes, std::align_val_t(64))));
      bytes_ = bytes;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(char* memory) const { ::operator delete(memory, std::align_val_t(64)); }
  };
  std::unique_ptr<char, Free> memory_;
  size_t bytes_ = 0;
};

thread_local Scratch scratch;

/// With the tiles that suit it.
Executable assembleTiles(const Program& program, Stores stores) {
  int64_t block = kLargestBlock;
  Executable executable = fused::assemble(program, block, stores);
  while (block > kSmallestBlock && executable.bytesPerElement * block > kRegisterBytes) {
    block /= 2;
    executable = fused::assemble(program, block, stores);
  }
  if (executable.transposes()) return fused::assemble(program, kTransposedBlock, stores);
  if (executable.bytesPerElement == 0) return fused::assemble(program, kStreamBlock, stores);
  return executable;
}

class FusedKernel : public Kernel {
 public:
  explicit FusedKernel(const Program& program) {
    executable_ = assembleTiles(program, Stores::ordinary);
    if (fused::streams(program)) streaming_ = assembleTiles(program, Stores::streaming);
    keptTiles_ = executable_.geometry.keptTiles();
    reducedTiles_ = executable_.reduces ? executable_.geometry.reducedTiles() : 0;
    if (executable_.reduces && keptTiles_ > 0 && keptTiles_ < kParts)
      parts_ = std::clamp<int64_t>(reducedTiles_ / kPartTiles, 1, (kParts + keptTiles_ - 1) / keptTiles_);
    const int64_t steps = static_cast<int64_t>(executable_.before.steps.size() + executable_.after.steps.size()) + 1;
    work_ = program.elements() * steps;
  }

  size_t workspaceBytes() const override {
    if (parts_ == 1) return 0;
    return static_cast<size_t>(parts_ * keptTiles_ * executable_.keptWidth()) * 8;
  }

  void run(const RunOperands& operands) override {
    if (keptTiles_ == 0) return;
    if (streaming_ && !inPlace(operands)) return runTiles(*streaming_, operands);
    runTiles(executable_, operands);
  }

 private:
  static bool inPlace(const RunOperands& operands) {
    for (const void* output : operands.outputs)
      for (const void* input : operands.inputs)
        if (input == output) return true;
    return false;
  }

  void runTiles(const Executable& executable, const RunOperands& operands) const {
    const int64_t units = executable.geometry.keptTiles() * parts_;
    if (work_ < kSerialWork || units == 1) {
      Worker worker(executable, operands, scratch.atLeast(Worker::scratchBytes(executable)));
      share(worker, operands, units, 0, 1);
      if (parts_ > 1) shareRest(worker, operands, 0, 1);
      return;
    }
    std::atomic<bool> failed = false;
#pragma omp parallel num_threads(static_cast<int>(std::min<int64_t>(units, omp_get_max_threads())))
    {
      char* memory = nullptr;
      try {
        memory = scratch.atLeast(Worker::scratchBytes(executable));
      } catch (const std::bad_alloc&) {
        failed = true;
      }
#pragma omp barrier
      if (!failed) {
        const int thread = omp_get_thread_num();
        const int threads = omp_get_num_threads();
        Worker worker(executable, operands, memory);
        share(worker, operands, units, thread, threads);
        if (parts_ > 1) {
#pragma omp barrier
          shareRest(worker, operands, thread, threads);
        }
      }
    }
    if (failed) throw Error(ErrorCode::outOfMemory, "fused: a thread has no memory for its registers");
  }

  /// Thread `thread`'s part of the tiles, or of the pairs of a tile and a part of its reduction.
  void share(Worker& worker, const RunOperands& operands, int64_t units, int64_t thread, int64_t threads) const {
    const int64_t begin = units * thread / threads;
    const int64_t end = units * (thread + 1) / threads;
    if (parts_ == 1) return worker.evaluate(begin, end);
    for (int64_t unit = begin; unit < end; unit++) {
      const int64_t part = unit / keptTiles_;
      worker.accumulate(unit % keptTiles_, reducedTiles_ * part / parts_, reducedTiles_ * (part + 1) / parts_,
                        static_cast<int64_t*>(operands.workspace) + unit * executable_.keptWidth());
    }
  }

  void shareRest(Worker& worker, const RunOperands& operands, int64_t thread, int64_t threads) const {
    const int64_t width = executable_.keptWidth();
    for (int64_t tile = keptTiles_ * thread / threads; tile < keptTiles_ * (thread + 1) / threads; tile++)
      worker.complete(tile, static_cast<const int64_t*>(operands.workspace) + tile * width, parts_, keptTiles_ * width);
  }

  Executable executable_;
  std::optional<Executable> streaming_;  // where results go past the caches, if they are not in place
  int64_t keptTiles_ = 0;
  int64_t reducedTiles_ = 0;
  int64_t parts_ = 1;
  int64_t work_ = 0;
};

std::unique_ptr<Kernel> make(WordReader& params, Specs inputs, Specs outputs) {
  const FusedParams fused = FusedParams::read(params);
  const Program program = decodeProgram(fused.program);
  checkOperands(program, inputs, outputs);
  return std::make_unique<FusedKernel>(program);
}

}  // namespace

void registerFused(KernelTable& table) { table.add(OpId::fused, make); }

}  // namespace heddle
