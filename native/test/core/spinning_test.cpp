// Spinning: as many rounds as take the time that is meant, on whichever processor, and never against the user's word.
#include "../../core/spinning.h"

#include <cstdlib>
#include <string>

#include "core_test.h"

namespace heddle::test {
namespace {

std::string spins() {
  const char* found = std::getenv("GOMP_SPINCOUNT");
  return found ? found : "";
}

}  // namespace

void testSpinning() {
  const double nanoseconds = pauseNanoseconds();
  // Between a cycle of a fast processor and the 140 of the slowest pause, at a slow clock.
  expect(nanoseconds > 0.1 && nanoseconds < 500, "a round of spinning takes some nanoseconds");
  unsetenv("OMP_WAIT_POLICY");
  setenv("GOMP_SPINCOUNT", "7", 1);
  limitSpinning();
  expect(spins() == "7", "the user's count stays");
  unsetenv("GOMP_SPINCOUNT");
  setenv("OMP_WAIT_POLICY", "passive", 1);
  limitSpinning();
  expect(spins().empty(), "the user's policy stays");
  unsetenv("OMP_WAIT_POLICY");
  limitSpinning();
  const double rounds = spins().empty() ? 0 : std::stod(spins());
  expect(rounds * nanoseconds > 50e3 && rounds * nanoseconds < 5e6, "spinning ends before milliseconds");
  unsetenv("GOMP_SPINCOUNT");
}

}  // namespace heddle::test
