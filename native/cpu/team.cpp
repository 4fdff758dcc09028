// Looking takes a call of the system and perhaps a barrier, so it is done once in a while, and less often where more
// threads would meet.
#include "team.h"

#include <omp.h>

#include <algorithm>
#include <vector>

#include "../core/profile.h"
#include "main_thread.h"
#include "threads.h"

namespace heddle::cpu {

namespace {

constexpr double kMicroseconds = 1000;
/// Of a barrier's.
constexpr double kMicrosecondsPerThread = 500;

/// What the system refuses is left as it is: the thread computes all the same.
void moveTo(int place, const cpu_set_t& allowed) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(static_cast<size_t>(place), &only);
  if (sched_setaffinity(0, sizeof only, &only) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
}

const MainThread& mainThread() {
  static const MainThread thread;
  return thread;
}

}  // namespace

std::optional<int> betterPlace(size_t own, std::span<const int> places, const cpu_set_t& allowed) {
  // Members that have to go take the free CPUs in order, so that no two choose the same one.
  const auto shares = [&](size_t member) {
    for (size_t other = 0; other < member; other++)
      if (places[other] == places[member]) return true;
    return false;
  };
  if (!shares(own)) return std::nullopt;
  size_t before = 0;
  for (size_t member = 0; member < own; member++) before += shares(member);
  cpu_set_t free = allowed;
  for (const int place : places)
    if (place >= 0) CPU_CLR(static_cast<size_t>(place), &free);
  for (int place = 0; place < CPU_SETSIZE; place++)
    if (CPU_ISSET(static_cast<size_t>(place), &free) && before-- == 0) return place;
  return std::nullopt;
}

void Team::look(bool spreads) {
  const double now = monotonicMicroseconds();
  if (now < nextLook_) return;
  const int threads = omp_get_max_threads();
  nextLook_ = now + std::max(kMicroseconds, kMicrosecondsPerThread * threads);
  const bool yields = mainThread().isRunnable();
  // With more threads than cores some share one whatever is done.
  spreads = spreads && threads > 1 && threads <= affinityThreads();
  if (!spreads && !yields) return;
  std::vector<int> places(static_cast<size_t>(threads), -1);
#pragma omp parallel num_threads(threads)
  {
    // Where nobody waits for this core, that is nothing.
    if (yields) sched_yield();
    const auto own = static_cast<size_t>(omp_get_thread_num());
    places[own] = sched_getcpu();
#pragma omp barrier
    // Few look further: asking the system takes longer than the barrier.
    cpu_set_t allowed;
    if (spreads && std::count(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(own), places[own]) > 0 &&
        sched_getaffinity(0, sizeof allowed, &allowed) == 0)
      if (const auto place = betterPlace(own, places, allowed)) moveTo(*place, allowed);
  }
}

}  // namespace heddle::cpu
