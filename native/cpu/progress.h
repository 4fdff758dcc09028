// Steps of one kernel's run that threads draw in turn, instead of each having its part.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace heddle {

/// Steps come in stages: a step waits until all of the stages before its own are finished. A thread without a core
/// delays the others by the step it has begun, if any; at a barrier they would wait for it to come.
class Progress {
 public:
  int64_t draw() { return next_.fetch_add(1, std::memory_order_relaxed); }
  void finish() { finished_.fetch_add(1, std::memory_order_release); }
  /// All steps below `first` were drawn before, so they are finished or somebody is at them.
  void await(int64_t first) const {
    for (int spins = 0; finished_.load(std::memory_order_acquire) < first; spins++)
      if (spins > kSpins) std::this_thread::yield();
  }

 private:
  // Some microseconds; whoever is waited for may need the core.
  static constexpr int kSpins = 4096;
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int64_t> finished_{0};
};

}  // namespace heddle
