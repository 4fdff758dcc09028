// Asks the real cuDNN for engines and plans of the graphs that convolutions are, for devices that need not be here.
// Says per device how many graphs got engines and how many a plan; ends with 1 where one that must have them has none.
#include <cstdio>
#include <string>
#include <vector>

#include "../../core/element.h"
#include "../../cuda/conv_graph.h"
#include "deviceless.h"

namespace {

using namespace heddle;
using cuda::GraphBias;
using cuda::PackedConv;

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

struct Shape {
  const char* name;
  std::vector<int64_t> x, weight, stride, padding, dilation;
};

const Shape kShapes[] = {
    {"7x7 stride 2 of an image", {8, 3, 224, 224}, {64, 3, 7, 7}, {2, 2}, {3, 3}, {1, 1}},
    {"3x3", {8, 64, 56, 56}, {64, 64, 3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {"1x1", {8, 256, 14, 14}, {1024, 256, 1, 1}, {1, 1}, {0, 0}, {1, 1}},
    {"3x3 stride 2", {8, 128, 28, 28}, {128, 128, 3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {"3x3 dilation 2", {4, 32, 30, 30}, {64, 32, 3, 3}, {1, 1}, {2, 2}, {2, 2}},
    {"odd channels", {3, 5, 17, 19}, {7, 5, 3, 2}, {1, 2}, {1, 0}, {1, 1}},
    {"4 groups", {4, 64, 28, 28}, {64, 16, 3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {"depthwise", {4, 64, 28, 28}, {64, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {"one spatial axis", {4, 32, 1, 100}, {48, 32, 1, 5}, {1, 2}, {0, 2}, {1, 1}},
    {"3x3x3", {2, 16, 12, 14, 16}, {32, 16, 3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
};

struct Case {
  std::string name;
  PackedConv conv;
};

std::vector<Case> casesOf() {
  std::vector<Case> cases;
  for (const Shape& shape : kShapes)
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16, DType::f64})
      for (const ConvDirection direction :
           {ConvDirection::forward, ConvDirection::inputGrad, ConvDirection::weightGrad})
        for (const bool last : {false, true})
          for (const GraphBias bias : {GraphBias::none, GraphBias::added, GraphBias::accumulated}) {
            // What conv_library.cpp makes: a bias is in the graph for 16-bit results alone.
            const bool half = dtype == DType::bf16 || dtype == DType::f16;
            if (bias != GraphBias::none && (!half || direction != ConvDirection::forward)) continue;
            std::vector<int64_t> y{shape.x[0], shape.weight[0]};
            for (size_t i = 0; i < shape.stride.size(); i++)
              y.push_back((shape.x[i + 2] + 2 * shape.padding[i] - shape.dilation[i] * (shape.weight[i + 2] - 1) - 1) /
                              shape.stride[i] +
                          1);
            std::string name = std::string(nameOf(direction)) + " " + nameOf(dtype) + " " + shape.name +
                               (last ? ", channels last" : ", channels first");
            if (bias == GraphBias::added) name += ", bias added";
            if (bias == GraphBias::accumulated) name += ", bias accumulated";
            cases.push_back({std::move(name),
                             {direction, dtype, last, shape.x, shape.weight, y, shape.stride, shape.padding,
                              shape.dilation, bias}});
          }
  return cases;
}

/// Whether one of the engines that heddle tries makes a plan; `reason` is the last that did not.
bool hasPlan(const std::vector<cuda::ConvEngine>& engines, std::string& reason) {
  for (const cuda::ConvEngine& engine : engines) try {
      const cuda::ConvPlan plan(engine);
      return true;
    } catch (const Error& refused) {
      reason = refused.what();
    }
  return false;
}

}  // namespace

int main(int count, char** arguments) {
  const bool tell = count > 1 && std::string(arguments[1]) == "--tell";
  int broken = 0;
  try {
    const std::vector<Case> cases = casesOf();
    for (const Device& device : kDevices) {
      test::useDevice(device.properties);
      int withEngines = 0, withPlan = 0;
      size_t engineCount = 0;
      for (const Case& one : cases) try {
          const std::vector<cuda::ConvEngine> engines = cuda::enginesOf(one.conv);
          std::string reason = "no engine";
          const bool planned = hasPlan(engines, reason);
          engineCount += engines.size();
          withEngines += !engines.empty();
          withPlan += planned;
          if (tell && !planned) std::printf("  %s: %s: %s\n", device.name, one.name.c_str(), reason.c_str());
        } catch (const Error& failed) {
          // Turned down is no failure, but what is not understood is: a descriptor is wrong.
          std::printf("  %s: %s: FAILED: %s\n", device.name, one.name.c_str(), failed.what());
          broken++;
        }
      std::printf("sm_%d (%s): %zu graphs, %d with engines (%zu in all), %d with a plan\n",
                  device.properties.capability, device.name, cases.size(), withEngines, engineCount, withPlan);
      std::fflush(stdout);
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return broken > 0 ? 1 : 0;
}
