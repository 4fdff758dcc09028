// Compiled sources: kept in this process, and on disk for the next.
#pragma once

#include <string>

#include "runtime.h"

namespace heddle::cuda {

/// A source's kernels, loaded. Lives as long as the process: plans that are still queued, captured or yet to come may
/// use it.
class Module {
 public:
  explicit Module(const std::string& code);
  cudaKernel_t kernel(const std::string& entry) const;

 private:
  cudaLibrary_t library_ = nullptr;
};

/// The source compiled for the current context's device. The folder HEDDLE_CACHE (else $XDG_CACHE_HOME/heddle, else
/// ~/.cache/heddle) is asked first and holds up to 512 MiB. Throws Error as compileSource does.
const Module& moduleOf(const std::string& source);

}  // namespace heddle::cuda
