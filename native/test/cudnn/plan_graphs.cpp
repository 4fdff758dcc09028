// Asks the real cuDNN for engines and plans of heddle's graphs, for devices that need not be here. Says per device how
// many graphs got engines and how many a plan; ends with 1 where a descriptor was not understood, or where a device
// with tensor cores for bf16 (sm_80 and later) gets no plan for a convolution, or for fewer than half of attention's
// graphs.
// `--tell` lists the graphs without a plan, `--every N` takes every Nth graph.
#include <cstdio>
#include <cstdlib>

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

struct Options {
  bool tell = false;
  size_t every = 1;

  Options(int count, char** arguments) {
    for (int i = 1; i < count; i++) {
      const std::string option = arguments[i];
      if (option == "--tell") tell = true;
      if (option == "--every" && i + 1 < count) every = std::strtoul(arguments[++i], nullptr, 10);
    }
    if (every == 0) throw Error(ErrorCode::invalidArgument, "--every takes a number from 1 up");
  }
};

/// How many descriptors were not understood, and whether too few graphs got a plan. `needed` is the share that must.
int planAll(const char* what, const std::vector<test::PlannedCase>& all, const Device& device, double needed,
            const Options& options) {
  int broken = 0, withEngines = 0, withPlan = 0;
  size_t engines = 0;
  std::vector<test::PlannedCase> cases;
  for (size_t i = 0; i < all.size(); i += options.every) cases.push_back(all[i]);
  for (const test::PlannedCase& one : cases) try {
      const test::Planned planned = one.plan();
      engines += planned.engines;
      withEngines += planned.engines > 0;
      withPlan += planned.plan;
      if (options.tell && !planned.plan)
        std::printf("  %s: %s: %s\n", device.name, one.name.c_str(), planned.reason.c_str());
    } catch (const Error& failed) {
      // Turned down is no failure, but what is not understood is: a descriptor is wrong.
      std::printf("  %s: %s: FAILED: %s\n", device.name, one.name.c_str(), failed.what());
      broken++;
    }
  std::printf("sm_%d (%s): %zu graphs of %s, %d with engines (%zu in all), %d with a plan\n",
              device.properties.capability, device.name, cases.size(), what, withEngines, engines, withPlan);
  if (device.properties.capability >= 80 && withPlan < needed * static_cast<double>(cases.size())) {
    std::printf("  FAILED: too few of them\n");
    broken++;
  }
  std::fflush(stdout);
  return broken;
}

}  // namespace

int main(int count, char** arguments) {
  int broken = 0;
  try {
    const Options options(count, arguments);
    for (const Device& device : kDevices) {
      test::useDevice(device.properties);
      broken += planAll("convolutions", test::convolutions(), device, 1, options);
      broken += planAll("attention", test::attentions(), device, 0.5, options);
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return broken > 0 ? 1 : 0;
}
