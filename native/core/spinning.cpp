// libgomp counts rounds, which take 15 ns on one processor and 45 on another, so they are timed. Its default is to spin
// for milliseconds.
#include "spinning.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>

namespace heddle {

namespace {

/// Waking a thread that sleeps costs 20 to 90 us where a virtual machine has let its processor go, and now and then
/// milliseconds; so threads spin through what lies between two kernels or two calls, and through most of what one of
/// them waits for another whose core the event loop uses meanwhile.
constexpr double kSpinNanoseconds = 600e3;

constexpr int kRounds = 200;
constexpr int kTrials = 10;

/// What libgomp does in a round.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
  asm volatile("" ::: "memory");
}

}  // namespace

double pauseNanoseconds() {
  using Clock = std::chrono::steady_clock;
  // The least, as a trial may be interrupted.
  double least = INFINITY;
  for (int trial = 0; trial < kTrials; trial++) {
    const auto start = Clock::now();
    for (int round = 0; round < kRounds; round++) pause();
    least = std::min(least, std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kRounds);
  }
  return least;
}

void limitSpinning() {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  setenv("GOMP_SPINCOUNT", std::to_string(std::lround(kSpinNanoseconds / pauseNanoseconds())).c_str(), 0);
}

}  // namespace heddle
