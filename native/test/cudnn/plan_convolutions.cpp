// The graphs that convolutions are.
#include <string>
#include <vector>

#include "../../core/element.h"
#include "../../cuda/conv_graph.h"
#include "plans.h"

namespace heddle::test {
namespace {

using cuda::GraphBias;
using cuda::PackedConv;

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

Planned planOf(const PackedConv& conv) {
  return planWith(cuda::enginesOf(conv), [](const cuda::dnn::Engine& engine) { const cuda::ConvPlan plan(engine); });
}

}  // namespace

std::vector<PlannedCase> convolutions() {
  std::vector<PlannedCase> cases;
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
            const PackedConv conv{direction, dtype,        last,          shape.x,        shape.weight,
                                  y,         shape.stride, shape.padding, shape.dilation, bias};
            cases.push_back({std::move(name), [conv] { return planOf(conv); }});
          }
  return cases;
}

}  // namespace heddle::test
