// The CPU as a backend: its description, its memory and the list of its kernel families.
#include "../core/backend.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "kernels.h"
#include "levels.h"
#include "memory.h"
#include "onednn.h"
#include "team.h"
#include "threads.h"
#include "trial.h"

namespace heddle::cpu {

namespace {

class CpuBackend : public HostBackend {
 public:
  CpuBackend() { registerCpuKernels(kernels_); }

  DeviceDescription describe() const override {
    return {"cpu", "cpu", onednn::instructionSet(), threads_.load(), totalMemory()};
  }

  const KernelTable& kernels() const override { return kernels_; }
  Choices& choices() override { return trialChoices(); }
  void* allocate(size_t bytes) noexcept override { return cpu::allocate(bytes); }
  void free(void* memory, size_t) noexcept override { std::free(memory); }

  void setThreads(int threads) override {
    threads_ = threads;
    omp_set_num_threads(threads);
    hasTeam = true;
  }

  void shareThreads(int shares) override {
    const int threads = std::max(1, threads_.load() / shares);
    if (omp_get_max_threads() != threads) omp_set_num_threads(threads);
  }

  // Whoever has a share of the threads has others beside it that go where they like.
  void beginStep(int64_t) override { team.look(hasTeam && omp_get_max_threads() == threads_); }

 private:
  /// Whether this is the executor thread, whose the team is.
  static inline thread_local bool hasTeam = false;
  static inline thread_local Team team;

  KernelTable kernels_;
  std::atomic<int> threads_{defaultThreads()};
};

}  // namespace

}  // namespace heddle::cpu

extern "C" __attribute__((visibility("default"))) size_t heddle_backend_open(heddle::Backend** devices, size_t,
                                                                             char* error, size_t errorLength) noexcept
    try {
  if (!heddle::hasLowestLevel())
    throw heddle::Error(
        heddle::ErrorCode::unsupported,
        "its kernels need a processor with SSE4.2 and POPCNT (x86-64-v2, since 2009), and this one has not");
  devices[0] = new heddle::cpu::CpuBackend;
  return 1;
} catch (const std::exception& failure) {
  std::snprintf(error, errorLength, "%s", failure.what());
  return 0;
}
