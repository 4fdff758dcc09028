// Compiled sources: kept in this process, and on disk for the next.
#pragma once

#include <future>
#include <mutex>
#include <string>

#include "nvrtc.h"
#include "runtime.h"

namespace heddle::cuda {

/// A source on its way to its kernels. Lives as long as the process: plans that are still queued, captured or yet to come
/// may use it.
class Module {
 public:
  Module(const std::string& source, const Target& target);
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Waits until it is compiled. Throws Error as compileSource does.
  cudaKernel_t kernel(const std::string& entry);

 private:
  void load();

  const std::string source_;
  const Target target_;
  std::shared_future<std::string> code_;
  std::mutex mutex_;
  cudaLibrary_t library_ = nullptr;
};

/// The module of a source for the current context's device; it is compiled beside others. The folder HEDDLE_CACHE (else
/// $XDG_CACHE_HOME/heddle, else ~/.cache/heddle) is asked first and holds up to 512 MiB.
Module& moduleOf(const std::string& source);

}  // namespace heddle::cuda
