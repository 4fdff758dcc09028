// What a device's thread did and when, recorded while somebody asks for it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace heddle {

/// Microseconds of the monotonic clock, which is also that of `process.hrtime`.
inline double monotonicMicroseconds() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct ProfileEvent {
  std::string name;   // of the job: its plan's label, "read", "write"; of the kernel: its op
  bool kernel;        // one step of a run, which on an asynchronous device is its queueing
  bool highPriority;  // of a job that may overtake others
  int lane;           // of runs that go on side by side; else 0
  double start, end;  // microseconds
};

/// Off, it costs one load per job and step.
class Profile {
 public:
  bool on() const { return on_.load(std::memory_order_relaxed); }

  void start() {
    const std::lock_guard lock(mutex_);
    events_.clear();
    dropped_ = 0;
    on_.store(true, std::memory_order_relaxed);
  }

  /// Ends recording and hands over what was recorded; `dropped` events did not fit.
  std::vector<ProfileEvent> stop(size_t& dropped) {
    const std::lock_guard lock(mutex_);
    on_.store(false, std::memory_order_relaxed);
    dropped = dropped_;
    return std::move(events_);
  }

  void add(ProfileEvent event) {
    const std::lock_guard lock(mutex_);
    if (!on()) return;
    if (events_.size() == kMostEvents)
      dropped_++;
    else
      events_.push_back(std::move(event));
  }

 private:
  static constexpr size_t kMostEvents = 1 << 20;
  std::atomic<bool> on_{false};
  std::mutex mutex_;
  std::vector<ProfileEvent> events_;
  size_t dropped_ = 0;
};

}  // namespace heddle
