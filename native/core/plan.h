// A plan: the decoded words, validated; once it is prepared, with one kernel per step and a place in the arena for all.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend.h"
#include "buffer.h"
#include "placement.h"

namespace heddle {

enum class StorageKind : uint8_t { input, cell, output, arena, count };

struct StorageSpec {
  StorageKind kind;
  size_t bytes;
  bool written;
};

struct OperandSpec {
  size_t storage;
  size_t byteOffset;
  TensorSpec tensor;
};

/// Where a plan's storages and workspaces lie in the arena.
struct Placement {
  std::vector<size_t> storages;    // by storage; of the caller's storages unused
  std::vector<size_t> workspaces;  // by step
  size_t arenaBytes = 0;
  size_t liveBytes = 0;  // the largest sum alive at one step
  // What lies there: storages, then the workspaces that have bytes, each with its offset.
  std::vector<Block> blocks;
  std::vector<size_t> offsets;
};

/// Of a plan's runs: normal ones run in the order they were queued; the others go before those wherever nobody can tell
/// the difference, and on a synchronous device between two steps of one.
enum class Priority : uint8_t { normal, high };

/// Runs of different lanes may go on side by side on a synchronous device, each in an arena of its own and with its
/// share of the threads: `index` counts from 1 to `count`. Lane 0 has all threads.
struct Lane {
  int index = 0, count = 1;
};

class Replay;

class Plan {
 public:
  /// Decodes and checks the words but for the kernels' parameters; `label` is what errors call the plan.
  Plan(std::vector<double> words, std::string label, Priority priority, Lane lane = {});
  ~Plan();

  /// Makes the kernels and places everything. Throws Error where a kernel can not be made, or early once `cancelled` is
  /// set. For the executor thread, once, and before the first run.
  void prepare(const Backend& backend, const std::atomic<bool>& cancelled);
  /// Ends preparing, well or with why it failed.
  void settle(FailurePointer failure);
  /// Whether it has ended well; what follows may be asked only then, by any thread.
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  /// Why preparing has failed. For the executor thread.
  const FailurePointer& failure() const { return failure_; }
  const Placement& placement() const { return placement_; }

  /// Runs every step on `caller`, the caller's storages in order, and `arena`. Asks `goOn` before each, and stops
  /// early, without error, where it says no. Throws StepError. One run at a time.
  void run(Backend& backend, std::span<void* const> caller, char* arena, const Placement& placement,
           const std::function<bool()>& goOn);

  /// Its recorded runs, where the backend records.
  Replay& replay();

  const std::string& label() const { return label_; }
  Priority priority() const { return priority_; }
  const Lane& lane() const { return lane_; }
  /// The storages the caller passes; arena storages follow them.
  std::span<const StorageSpec> callerStorages() const;
  int64_t stepCount() const;
  /// The first step that writes a cell; the number of steps where none does.
  int64_t firstCellWrite() const { return firstCellWrite_; }
  /// The first that does so whatever kernels before it have reported.
  int64_t firstUnguardedCellWrite() const { return firstUnguardedCellWrite_; }

 private:
  struct Step;
  void decodeStorage(WordReader& words);
  void decodeOperand(WordReader& words);
  void decodeStep(WordReader& words);
  void makeKernel(Step& step, int64_t position, const Backend& backend);
  void place();
  [[noreturn]] void reject(const std::string& what) const;

  const std::vector<double> words_;  // kernels may keep spans of their parameters
  const std::string label_;
  const Priority priority_;
  const Lane lane_;
  std::vector<StorageSpec> storages_;
  std::vector<OperandSpec> operands_;
  std::vector<Step> steps_;
  size_t callerCount_ = 0;
  int64_t firstCellWrite_ = 0;
  int64_t firstUnguardedCellWrite_ = 0;
  Placement placement_;
  FailurePointer failure_;
  std::atomic<bool> ready_{false};
  std::vector<char*> bases_;  // by storage, while a run is under way
  std::unique_ptr<Replay> replay_;
};

}  // namespace heddle
