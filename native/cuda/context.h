// A CUDA device of this process: its stream, its limits, and where its kernels report.
#pragma once

#include <string>

#include "report.h"
#include "runtime.h"

namespace heddle::cuda {

class Context {
 public:
  explicit Context(int ordinal);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// The context of the calling thread, for kernel factories and kernels: they run on their device's own thread.
  /// Throws Error internal on any other.
  static Context& current();
  /// Makes this the calling thread's context.
  void enter();

  const int ordinal;
  std::string name;
  size_t memoryBytes;
  int major, minor;  // compute capability
  int multiprocessors;
  size_t l2Bytes;
  size_t sharedBytesPerBlock;  // with the attribute of the kernel raised
  bool synchronous;            // HEDDLE_SYNC=1: wait after every kernel, so that the failing one is named
  cudaStream_t stream;         // everything the device does, in order

  /// Where the kernel that is queued now reports what it finds wrong.
  Reporter reporter(OpId op) const { return {report, static_cast<int>(op), step}; }

  Report* report;     // device memory, of the run that is queued
  int64_t step = -1;  // of that run
};

}  // namespace heddle::cuda
