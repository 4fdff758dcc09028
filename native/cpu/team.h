// The threads that compute, each on a core of its own, and never long in the event loop's way.
#pragma once

#include <sched.h>

#include <optional>
#include <span>

namespace heddle::cpu {

/// The CPU that member `own` of a team should move to: one that is allowed and that no member is on. None where no
/// member of a lower number is on its CPU, or where no CPU is free. `places[i]` is the CPU that member i is on.
std::optional<int> betterPlace(size_t own, std::span<const int> places, const cpu_set_t& allowed);

/// A thread with the team that it computes with, between kernels, where that is idle.
class Team {
 public:
  /// Looks for two things from time to time. Linux wakes a thread on the core where it was last, or on that of the
  /// thread that wakes it, where others are busy for a moment: two members then share a core for milliseconds, one of
  /// them spinning at a barrier for the other, while a core is free. With `spreads`, the one of the higher number is
  /// moved; its affinity stays what it was. And a thread that is interrupted, be it for some microseconds, has to wait
  /// for the others on its core whatever their niceness, until the next tick of its clock, 4 ms: while the main thread
  /// would run, members yield, which lets it.
  void look(bool spreads);

 private:
  double nextLook_ = 0;
};

}  // namespace heddle::cpu
