// The contract between the core and a backend: one class, opened by one exported function.
#pragma once

#include <cstddef>
#include <string>

#include "kernel.h"

namespace heddle {

struct DeviceDescription {
  std::string name;            // what `device` is called in the public API
  std::string kind;            // the backend's folder
  std::string instructionSet;  // the widest one the kernels use
  int threads;                 // compute threads in use
  size_t memoryBytes;          // what the device (or the container it runs in) has in all
};

/// A device's memory and kernels. One object per process, never destroyed.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual DeviceDescription describe() const = 0;
  virtual const KernelTable& kernels() const = 0;

  /// Memory aligned to at least 64 bytes, contents undefined; nullptr where there is none left.
  virtual void* allocate(size_t bytes) noexcept = 0;
  virtual void free(void* memory, size_t bytes) noexcept = 0;

  virtual void upload(void* device, const void* host, size_t bytes) = 0;
  virtual void download(void* host, const void* device, size_t bytes) = 0;

  /// Called on the executor thread: as it starts, with the described count, and whenever the user changes it.
  virtual void setThreads(int threads) = 0;
};

/// What a backend's library exports. Returns nullptr with a sentence in `error` where the device cannot be used.
using BackendOpen = Backend* (*)(char* error, size_t errorLength) noexcept;
inline constexpr const char* kBackendOpenSymbol = "heddle_backend_open";

}  // namespace heddle
