// The contract between the core and a backend: one class, opened by one exported function.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include "choices.h"
#include "kernel.h"
#include "profile.h"

namespace heddle {

struct DeviceDescription {
  std::string name;            // what `device` is called in the public API
  std::string kind;            // the backend's folder
  std::string instructionSet;  // the widest one the kernels use
  int threads;                 // compute threads in use
  size_t memoryBytes;          // what the device (or the container it runs in) has in all
};

/// Work a device was given; any one thread may wait for it.
class Fence {
 public:
  virtual ~Fence() = default;
  /// Throws StepError where a kernel of the run before it found its input wrong, or the device is lost.
  virtual void wait() = 0;
};

/// Bytes on their way to the host.
class Download {
 public:
  virtual ~Download() = default;
  /// Hands them over. To be called once the work queued up to the download is done.
  virtual void deliver(void* host) = 0;
};

/// What kernels queued, to be queued again as a whole.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay() = 0;
};

/// A device's memory and kernels. One object per device and process, never destroyed. Calls come from the device's
/// executor thread, but for `describe`, `kernels`, `choices` and the memory's, which come from any, and what fences and
/// downloads do. Runs in lanes, on synchronous devices, come from several threads at once.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual DeviceDescription describe() const = 0;
  virtual const KernelTable& kernels() const = 0;
  /// What timing chose so far; what is kept there before is not timed.
  virtual Choices& choices() = 0;

  /// Memory aligned to at least 64 bytes, contents undefined; nullptr where there is none left.
  virtual void* allocate(size_t bytes) noexcept = 0;
  virtual void free(void* memory, size_t bytes) noexcept = 0;

  /// `host` may change as soon as the call returns.
  virtual void upload(void* device, const void* host, size_t bytes) = 0;
  virtual std::unique_ptr<Download> download(const void* device, size_t bytes) = 0;

  /// Whether kernels, uploads and downloads are only queued on the device, in order: `fence` then tells when they are
  /// done. Where not, everything is done when its call returns, and uploads may come from any thread.
  virtual bool asynchronous() const { return false; }
  /// Called as a thread starts that will use the device.
  virtual void enterThread() {}
  /// Called before a run and before each of its steps, so that what kernels find wrong can name the step.
  virtual void beginRun() {}
  virtual void beginStep(int64_t step) { (void)step; }
  /// Queues a copy within the device; of asynchronous backends only.
  virtual void copy(void* target, const void* source, size_t bytes) { std::memcpy(target, source, bytes); }

  /// Whether it can record what is queued between `beginRecording` and `endRecording` instead of doing it.
  virtual bool records() const { return false; }
  virtual void beginRecording() {}
  /// Throws Error where something was queued that cannot be recorded.
  virtual std::unique_ptr<Recording> endRecording() { return nullptr; }
  /// Runs that were replays of a recording, counted by the core.
  std::atomic<size_t> replays{0};
  /// Jobs and kernels, recorded by the core.
  Profile profile;

  /// What was queued so far; of asynchronous backends only.
  virtual std::unique_ptr<Fence> fence() { return nullptr; }

  /// Called on the executor thread: as it starts, with the described count, and whenever the user changes it.
  virtual void setThreads(int threads) = 0;
  /// From now on, kernels that the calling thread makes or runs use an equal share of those threads, one of `shares`.
  virtual void shareThreads(int shares) { (void)shares; }
};

/// A backend whose memory is the host's and whose work is done when its call returns.
class HostBackend : public Backend {
 public:
  void upload(void* device, const void* host, size_t bytes) override { std::memcpy(device, host, bytes); }
  std::unique_ptr<Download> download(const void* device, size_t bytes) override {
    return std::make_unique<Copy>(device, bytes);
  }

 private:
  class Copy : public Download {
   public:
    Copy(const void* source, size_t bytes) : source_(source), bytes_(bytes) {}
    void deliver(void* host) override { std::memcpy(host, source_, bytes_); }

   private:
    const void* source_;
    size_t bytes_;
  };
};

/// Where a library was looked for, in order, and where it was found; `found` is empty where it was not.
struct LibrarySearch {
  std::string name;
  std::string found;
  std::vector<std::string> places;
};

/// What a backend's library may export: the libraries it opens when it needs them.
using BackendLibraries = void (*)(std::vector<LibrarySearch>& searches);
inline constexpr const char* kBackendLibrariesSymbol = "heddle_backend_libraries";

/// What a backend's library exports. Fills `devices` with up to `capacity` of them and returns how many; 0 with a
/// sentence in `error` where there is none that can be used.
using BackendOpen = size_t (*)(Backend** devices, size_t capacity, char* error, size_t errorLength) noexcept;
inline constexpr const char* kBackendOpenSymbol = "heddle_backend_open";

}  // namespace heddle
