// The threads that compute, each on a core of its own.
#pragma once

#include <sched.h>

#include <optional>
#include <span>

namespace heddle::cpu {

/// The CPU that member `own` of a team should move to: one that is allowed and that no member is on. None where no
/// member of a lower number is on its CPU, or where no CPU is free. `places[i]` is the CPU that member i is on.
std::optional<int> betterPlace(size_t own, std::span<const int> places, const cpu_set_t& allowed);

/// Called between kernels, where the team of this thread is idle. Linux wakes a thread on the core where it was last,
/// or on that of the thread that wakes it, where others are busy for a moment: two members then share a core for
/// milliseconds, one of them spinning at a barrier for the other, while a core is free. Looks for that from time to
/// time and moves the one of the higher number; its affinity stays what it was.
class Team {
 public:
  /// On the thread that computes, with as many threads as it computes with.
  void resize(int threads);
  void spread();

 private:
  int threads_ = 1;
  double nextLook_ = 0;
};

}  // namespace heddle::cpu
