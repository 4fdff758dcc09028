// The contract between the executor and a backend's kernels: specs in, a kernel that runs many times out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "../schema.gen.h"
#include "error.h"
#include "words.h"

namespace heddle {

/// What is known of an operand before any run. Strides are in elements; 0 repeats, negative runs backwards.
struct TensorSpec {
  DType dtype;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  int64_t alignment = 1;  // of element [0, ...]'s address, in bytes: a power of two up to 64
  bool kept = false;      // of an output: memory that outlives the run, a cell's

  int64_t size() const;     // elements
  bool contiguous() const;  // row-major without gaps (axes of extent 1 do not count)
};

/// What a kernel gets at each run. Pointers address element [0, ...] of their operand.
struct RunOperands {
  std::span<const void* const> inputs;
  std::span<void* const> outputs;
  void* workspace;  // 64-byte aligned, as large as the kernel asked for, contents undefined
};

/// One prepared step of a plan: created once, run many times, on the device's executor thread only.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// Bytes of scratch memory needed at each run; the planner places it in the arena.
  virtual size_t workspaceBytes() const { return 0; }
  /// Called before the first run, once all kernels of the plan are made: what making them began (a compilation, say)
  /// has gone on side by side and ends here. Throws heddle::Error as making them does.
  virtual void complete() {}
  /// Whether it writes nothing in a run in which a kernel before it has reported a wrong value. On devices that only
  /// queue work, kernels with `kept` outputs should: what they would write is then as it was before the run.
  virtual bool guarded() const { return false; }
  /// Computes the outputs. Throws heddle::Error (an index out of range, say) before or after partial writes.
  virtual void run(const RunOperands& operands) = 0;
};

using Specs = std::span<const TensorSpec>;

/// Builds a kernel from its encoded parameters. Throws heddle::Error where the specs are not what the op promises.
using KernelFactory = std::unique_ptr<Kernel> (*)(WordReader& params, Specs inputs, Specs outputs);

/// The kernels of one backend, indexed by op.
class KernelTable {
 public:
  void add(OpId op, KernelFactory factory);
  KernelFactory find(OpId op) const;  // nullptr where the backend has none

 private:
  KernelFactory factories_[static_cast<size_t>(OpId::count)] = {};
};

}  // namespace heddle
