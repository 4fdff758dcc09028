// A plan made ready to run: the decoded words, validated, with one kernel per step and every address resolved.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend.h"
#include "buffer.h"

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
  size_t arenaBytes;
};

class Replay;

class Plan {
 public:
  /// Decodes and checks the words and makes the kernels; `label` is what errors call the plan.
  Plan(const Backend& backend, std::vector<double> words, std::string label);
  ~Plan();

  /// Offsets of every arena storage, then of every step's workspace.
  void place(std::span<const double> offsets, double arenaBytes);
  /// Throws where `place` was never called.
  std::shared_ptr<const Placement> placement() const;

  /// Runs every step on `caller`, the caller's storages in order, and `arena`. Stops early, without error, once
  /// `cancelled` is set. Throws StepError. For the executor thread.
  void run(Backend& backend, std::span<void* const> caller, char* arena, const Placement& placement,
           const std::atomic<bool>& cancelled);

  /// Its recorded runs, where the backend records.
  Replay& replay();

  const std::string& label() const { return label_; }
  /// The storages the caller passes; arena storages follow them.
  std::span<const StorageSpec> callerStorages() const;
  std::vector<size_t> workspaceBytes() const;
  int64_t stepCount() const;
  /// The first step that writes a cell; the number of steps where none does.
  int64_t firstCellWrite() const { return firstCellWrite_; }
  /// The first that does so whatever kernels before it have reported.
  int64_t firstUnguardedCellWrite() const { return firstUnguardedCellWrite_; }

 private:
  struct Step;
  void decodeStorage(WordReader& words);
  void decodeOperand(WordReader& words);
  void decodeStep(WordReader& words, const Backend& backend);
  [[noreturn]] void reject(const std::string& what) const;

  const std::vector<double> words_;  // kernels may keep spans of their parameters
  const std::string label_;
  std::vector<StorageSpec> storages_;
  std::vector<OperandSpec> operands_;
  std::vector<Step> steps_;
  size_t callerCount_ = 0;
  int64_t firstCellWrite_ = 0;
  int64_t firstUnguardedCellWrite_ = 0;
  std::shared_ptr<const Placement> placement_;
  std::vector<char*> bases_;  // by storage, while a run is under way
  std::unique_ptr<Replay> replay_;
};

}  // namespace heddle
