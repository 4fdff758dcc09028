// Asks the real cuDNN for engines and plans of heddle's graphs, for devices that need not be here. Says per device how
// many graphs got engines and how many a plan; ends with 1 where a descriptor was not understood. `--tell` lists the
// graphs without a plan.
#include <cstdio>

#include "../../core/error.h"
#include "deviceless.h"
#include "plans.h"

namespace {

using namespace heddle;

struct Device {
  const char* name;
  test::DeviceProperties properties;
};

// NVIDIA's "CUDA C++ Programming Guide", technical specifications per compute capability, and the data sheets' counts.
constexpr long long kGiB = 1ll << 30, kMiB = 1ll << 20;
const Device kDevices[] = {
    {"T4", {75, 40, 65536, 1024, 16, 16 * kGiB, 4 * kMiB}},
    {"A100", {80, 108, 166912, 2048, 32, 40 * kGiB, 40 * kMiB}},
    {"L4", {89, 58, 101376, 1536, 24, 24 * kGiB, 48 * kMiB}},
    {"H100", {90, 132, 232448, 2048, 32, 80 * kGiB, 50 * kMiB}},
    {"B200", {100, 148, 232448, 2048, 32, 180 * kGiB, 126 * kMiB}},
    {"RTX 5090", {120, 170, 101376, 1536, 24, 32 * kGiB, 96 * kMiB}},
};

/// How many descriptors were not understood.
int planAll(const char* what, const std::vector<test::PlannedCase>& cases, const Device& device, bool tell) {
  int broken = 0, withEngines = 0, withPlan = 0;
  size_t engines = 0;
  for (const test::PlannedCase& one : cases) try {
      const test::Planned planned = one.plan();
      engines += planned.engines;
      withEngines += planned.engines > 0;
      withPlan += planned.plan;
      if (tell && !planned.plan) std::printf("  %s: %s: %s\n", device.name, one.name.c_str(), planned.reason.c_str());
    } catch (const Error& failed) {
      // Turned down is no failure, but what is not understood is: a descriptor is wrong.
      std::printf("  %s: %s: FAILED: %s\n", device.name, one.name.c_str(), failed.what());
      broken++;
    }
  std::printf("sm_%d (%s): %zu graphs of %s, %d with engines (%zu in all), %d with a plan\n",
              device.properties.capability, device.name, cases.size(), what, withEngines, engines, withPlan);
  std::fflush(stdout);
  return broken;
}

}  // namespace

int main(int count, char** arguments) {
  const bool tell = count > 1 && std::string(arguments[1]) == "--tell";
  int broken = 0;
  try {
    for (const Device& device : kDevices) {
      test::useDevice(device.properties);
      broken += planAll("convolutions", test::convolutions(), device, tell);
      broken += planAll("attention", test::attentions(), device, tell);
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return broken > 0 ? 1 : 0;
}
