// Convolution and its gradients against plain f64 sums: ranks, strides, padding, dilation, groups, layouts, dtypes.
#include <cmath>
#include <cstdio>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

struct Case {
  Shape x, weight, stride, low, high, dilation;
  int64_t groups;
};

Words list(const Shape& values) {
  Words words{double(values.size())};
  words.insert(words.end(), values.begin(), values.end());
  return words;
}

Words geometry(const Case& c) {
  Shape padding = c.low;
  padding.insert(padding.end(), c.high.begin(), c.high.end());
  Words words = list(c.stride);
  for (const Shape& part : {padding, c.dilation})
    for (double word : list(part)) words.push_back(word);
  words.push_back(double(c.groups));
  return words;
}

Shape outputOf(const Case& c) {
  Shape shape{c.x[0], c.weight[0]};
  for (size_t i = 0; i < c.stride.size(); i++)
    shape.push_back((c.x[i + 2] + c.low[i] + c.high[i] - c.dilation[i] * (c.weight[i + 2] - 1) - 1) / c.stride[i] + 1);
  return shape;
}

size_t flat(const Shape& shape, const Shape& index) {
  int64_t at = 0;
  for (size_t i = 0; i < shape.size(); i++) at = at * shape[i] + index[i];
  return size_t(at);
}

/// Visits (x, weight, y) positions of every product.
void forEachProduct(const Case& c, const std::function<void(size_t, size_t, size_t)>& visit) {
  const Shape y = outputOf(c);
  const int64_t group = c.weight[0] / c.groups;
  forEachIndex(y, [&](const Shape& out) {
    forEachIndex(Shape(c.weight.begin() + 1, c.weight.end()), [&](const Shape& part) {
      Shape in{out[0], out[1] / group * c.weight[1] + part[0]}, kernel{out[1], part[0]};
      for (size_t i = 0; i < c.stride.size(); i++) {
        in.push_back(out[i + 2] * c.stride[i] - c.low[i] + part[i + 1] * c.dilation[i]);
        kernel.push_back(part[i + 1]);
        if (in.back() < 0 || in.back() >= c.x[i + 2]) return;
      }
      visit(flat(c.x, in), flat(c.weight, kernel), flat(y, out));
    });
  });
}

void check(const Case& c, DType dtype, bool last, bool exact, int number) {
  const std::string label = std::string("conv ") + kDTypeNames[int(dtype)] + " case " + std::to_string(number) +
                            (last ? " channels-last" : "") + (exact ? " exact" : "");
  const Shape shape = outputOf(c);
  Tensor x(dtype, c.x, last ? channelsLast(c.x) : rowMajor(c.x)), weight(dtype, c.weight), bias(dtype, {c.weight[0]});
  Tensor y(dtype, shape, last ? channelsLast(shape) : rowMajor(shape)), dy(dtype, shape, y.spec().strides);
  Tensor dx(dtype, c.x, x.spec().strides), dw(dtype, c.weight);
  uint32_t seed = uint32_t(number * 11);
  for (Tensor* tensor : {&x, &weight, &bias, &dy}) exact ? tensor->integers(seed++, -1, 1) : tensor->random(seed++);
  const std::vector<double> vx = x.values(), vw = weight.values(), vb = bias.values(), vdy = dy.values();
  std::vector<double> ey(size_t(sizeOf(shape))), edx(vx.size(), 0), edw(vw.size(), 0);
  const int64_t plane = sizeOf(Shape(shape.begin() + 2, shape.end()));
  for (size_t i = 0; i < ey.size(); i++) ey[i] = vb[size_t(int64_t(i) / plane % shape[1])];
  forEachProduct(c, [&](size_t i, size_t w, size_t o) {
    ey[o] += vx[i] * vw[w];
    edx[i] += vdy[o] * vw[w];
    edw[w] += vdy[o] * vx[i];
  });
  const auto expectSame = [&](const std::string& what, const Tensor& actual, const std::vector<double>& expected) {
    exact ? expectExact(label + what, actual, expected) : expectNear(label + what, actual, expected);
  };
  Words forward = geometry(c), inputGrad = geometry(c), weightGrad = geometry(c);
  forward.insert(forward.end(), {1, exact ? 0.0 : 1.0});
  for (double word : list(c.x)) inputGrad.push_back(word);
  for (double word : list(c.weight)) weightGrad.push_back(word);
  if (!exact)
    for (double& value : ey) value = value > 0 ? value : 0;
  runOp(OpId::conv, forward, {&x, &weight, &bias}, {&y});
  expectSame(" y", y, ey);
  runOp(OpId::convInputGrad, inputGrad, {&dy, &weight}, {&dx});
  expectSame(" dx", dx, edx);
  runOp(OpId::convWeightGrad, weightGrad, {&x, &dy}, {&dw});
  expectSame(" dw", dw, edw);
}

}  // namespace

void testConv() {
  const Case cases[] = {
      {{2, 3, 7, 8}, {4, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
      {{2, 1, 9, 9}, {16, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
      {{1, 4, 9, 10}, {6, 2, 3, 2}, {2, 1}, {1, 0}, {0, 1}, {1, 2}, 2},
      {{2, 8, 6, 6}, {8, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 8},
      {{2, 16, 5, 5}, {32, 16, 1, 1}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, 1},
      {{3, 4, 11}, {5, 4, 3}, {2}, {1}, {1}, {1}, 1},
      {{2, 3, 10}, {4, 3, 4}, {3}, {0}, {2}, {2}, 1},
      {{1, 2, 4, 5, 6}, {3, 2, 2, 3, 2}, {1, 2, 1}, {0, 1, 1}, {1, 1, 0}, {1, 1, 1}, 1},
      {{0, 3, 5, 5}, {4, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
  };
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (const Case& c : cases)
      for (bool last : {false, true})
        for (bool exact : {false, true}) check(c, dtype, last, exact, int(&c - cases));
  Tensor x(DType::f32, {1, 3, 4, 4}), weight(DType::f32, {2, 2, 3, 3}), y(DType::f32, {1, 2, 2, 2});
  expectError("conv channels", ErrorCode::invalidPlan, "batch and channels that agree", [&] {
    runOp(OpId::conv, {2, 1, 1, 4, 0, 0, 0, 0, 2, 1, 1, 1, 0, 0}, {&x, &weight}, {&y});
  });
}

void timeConv() {
  const Case cases[] = {{{64, 1, 28, 28}, {32, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
                        {{64, 32, 28, 28}, {64, 32, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
                        {{64, 32, 14, 14}, {64, 32, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1}};
  for (const Case& c : cases)
    for (bool last : {false, true}) {
      const Shape shape = outputOf(c);
      Tensor x(DType::f32, c.x, last ? channelsLast(c.x) : rowMajor(c.x)), weight(DType::f32, c.weight);
      Tensor y(DType::f32, shape, last ? channelsLast(shape) : rowMajor(shape)), dw(DType::f32, c.weight);
      Words forward = geometry(c), inputGrad = geometry(c), weightGrad = geometry(c);
      forward.insert(forward.end(), {0, 0});
      for (double word : list(c.x)) inputGrad.push_back(word);
      for (double word : list(c.weight)) weightGrad.push_back(word);
      x.random(1);
      weight.random(2);
      y.random(3);
      const double a = timeOp(OpId::conv, forward, {&x, &weight}, {&y});
      const double b = timeOp(OpId::convInputGrad, inputGrad, {&y, &weight}, {&x});
      const double d = timeOp(OpId::convWeightGrad, weightGrad, {&x, &y}, {&dw});
      std::printf("conv [64,%d,%d,%d] -> %d %s: forward %.3f ms, input gradient %.3f ms, weight gradient %.3f ms\n",
                  int(c.x[1]), int(c.x[2]), int(c.x[3]), int(c.weight[0]), last ? "channels-last" : "NCHW", a, b, d);
    }
}

}  // namespace heddle::test
