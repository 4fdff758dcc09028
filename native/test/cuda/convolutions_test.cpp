// Convolution on CUDA: operands in any memory order and beginning anywhere, padding that differs on the two sides, and
// one rounding behind a bias.
#include <cmath>

#include "../cpu/kernel_test.h"
#include "products_test.h"

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

/// Visits the positions of x, weight and y in every product.
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

struct Sums {
  std::vector<double> y, dx, dw;
};

Sums sumsOf(const Case& c, const Tensor& x, const Tensor& weight, const Tensor& dy) {
  const std::vector<double> vx = x.values(), vw = weight.values(), vdy = dy.values();
  Sums sums{std::vector<double>(vdy.size(), 0), std::vector<double>(vx.size(), 0), std::vector<double>(vw.size(), 0)};
  forEachProduct(c, [&](size_t i, size_t w, size_t o) {
    sums.y[o] += vx[i] * vw[w];
    sums.dx[i] += vdy[o] * vw[w];
    sums.dw[w] += vdy[o] * vx[i];
  });
  return sums;
}

/// All three directions with exact numbers; x and y in these orders of memory, `before` elements into it.
void check(const std::string& label, const Case& c, DType dtype, const std::vector<size_t>& orderX,
           const std::vector<size_t>& orderY, int64_t before) {
  const Shape shape = outputOf(c);
  Tensor x(dtype, c.x, ordered(c.x, orderX), before), weight(dtype, c.weight, rowMajor(c.weight), before);
  Tensor y(dtype, shape, ordered(shape, orderY), before), dy(dtype, shape, ordered(shape, orderY), before);
  Tensor dx(dtype, c.x, ordered(c.x, orderX), before), dw(dtype, c.weight, rowMajor(c.weight), before);
  x.integers(1, -1, 1);
  weight.integers(2, -1, 1);
  dy.integers(3, -1, 1);
  const Sums sums = sumsOf(c, x, weight, dy);
  Words forward = geometry(c), inputGrad = geometry(c), weightGrad = geometry(c);
  forward.insert(forward.end(), {0, 0});
  for (double word : list(c.x)) inputGrad.push_back(word);
  for (double word : list(c.weight)) weightGrad.push_back(word);
  runOp(OpId::conv, forward, {&x, &weight}, {&y}, 2);
  expectExact(label + " y", y, sums.y);
  runOp(OpId::convInputGrad, inputGrad, {&dy, &weight}, {&dx}, 2);
  expectExact(label + " dx", dx, sums.dx);
  runOp(OpId::convWeightGrad, weightGrad, {&x, &dy}, {&dw}, 2);
  expectExact(label + " dw", dw, sums.dw);
}

void testOrders() {
  const std::vector<std::vector<size_t>> orders = {
      {0, 1, 2, 3}, {0, 2, 3, 1}, {1, 0, 2, 3}, {3, 2, 1, 0}, {2, 3, 0, 1}};
  const Case cases[] = {
      {{2, 3, 7, 6}, {4, 3, 3, 2}, {1, 1}, {1, 0}, {1, 0}, {1, 1}, 1},
      // Padding that one side has more of, at the start and at the end; a stride that skips the last columns.
      {{2, 4, 6, 7}, {4, 2, 3, 3}, {2, 3}, {0, 2}, {1, 0}, {1, 1}, 2},
      {{1, 33, 35, 2}, {34, 33, 1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, 1},
  };
  for (const Case& c : cases)
    for (const auto& x : orders)
      for (const auto& y : orders)
        for (const DType dtype : &x == &y ? std::vector{DType::f32, DType::bf16} : std::vector{DType::f32})
          check("order " + std::to_string(&x - &orders[0]) + std::to_string(&y - &orders[0]) + " case " +
                    std::to_string(&c - cases) + " " + kDTypeNames[int(dtype)],
                c, dtype, x, y, 0);
}

void testMisaligned() {
  const Case c{{2, 8, 6, 6}, {8, 8, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16})
    for (const auto& order : {std::vector<size_t>{0, 1, 2, 3}, std::vector<size_t>{0, 2, 3, 1}})
      check(std::string("misaligned ") + kDTypeNames[int(dtype)], c, dtype, order, order, 1);
}

/// A sum that 16 bits cannot hold, brought back by the bias: two roundings would show.
void testOneRounding() {
  for (const DType dtype : {DType::bf16, DType::f16})
    for (const int64_t channels : {3, 8})
      for (const bool last : {false, true})
        for (const int activation : {0, 1}) {
          const double big = dtype == DType::bf16 ? 256 : 2048;
          const Case c{{1, channels, 4, 4}, {8, channels, 1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, 1};
          const Shape shape = outputOf(c);
          Tensor x(dtype, c.x, last ? channelsLast(c.x) : rowMajor(c.x)), weight(dtype, c.weight);
          Tensor bias(dtype, {8}, {1}, channels == 8 ? 1 : 0);
          Tensor y(dtype, shape, last ? channelsLast(shape) : rowMajor(shape));
          std::vector<double> taps(size_t(8 * channels), 0.0);
          for (size_t o = 0; o < 8; o++) {
            taps[o * size_t(channels)] = big;
            taps[o * size_t(channels) + 1] = 1;
          }
          Words words = geometry(c);
          words.insert(words.end(), {1, double(activation)});
          runOp(OpId::conv, words, {&x.fill(1), &weight.assign(taps), &bias.fill(-big)}, {&y});
          expectExact(std::string("rounded once ") + kDTypeNames[int(dtype)] + " " + std::to_string(channels) +
                          (last ? " channels-last" : "") + (activation ? " relu" : ""),
                      y, std::vector<double>(size_t(8 * 16), 1.0));
        }
}

void testRefusals() {
  Tensor x(DType::i32, {1, 1, 3, 3}), weight(DType::i32, {1, 1, 2, 2}), y(DType::i32, {1, 1, 2, 2});
  expectError("integers", ErrorCode::unsupported, "conv: this device has no kernel for i32",
              [&] { runOp(OpId::conv, {2, 1, 1, 4, 0, 0, 0, 0, 2, 1, 1, 1, 0, 0}, {&x, &weight}, {&y}); });
}

}  // namespace

void testConvolutions() {
  testOrders();
  testMisaligned();
  testOneRounding();
  testRefusals();
}

}  // namespace heddle::test
