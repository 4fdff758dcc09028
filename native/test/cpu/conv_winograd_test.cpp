// Winograd's convolution by itself, whether or not it is the fastest: extents around every tile's, panel's and block's
// edge, padding, bias, activations, both directions, and that the bits depend on neither the run nor the threads.
#include <omp.h>

#include <cstring>

#include "../../cpu/conv.h"
#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

struct Case {
  int64_t pictures, channels, height, width, results;
  Shape low = {1, 1}, high = {1, 1};
  bool hasBias = false;
  Activation activation = Activation::none;
  int64_t gap = 0;  // elements between the pixels of x

  std::string label() const {
    return "winograd [" + std::to_string(pictures) + "," + std::to_string(channels) + "," + std::to_string(height) +
           "," + std::to_string(width) + "] -> " + std::to_string(results) + " padding " + std::to_string(low[0]) +
           std::to_string(low[1]) + std::to_string(high[0]) + std::to_string(high[1]) + (hasBias ? " bias" : "") +
           " activation " + std::to_string(static_cast<int>(activation)) + (gap ? " gap" : "");
  }
};

Shape pictureStrides(const Shape& shape, int64_t gap) {
  const int64_t pixel = shape[1] + gap;
  return {shape[2] * shape[3] * pixel, 1, shape[3] * pixel, pixel};
}

/// The operands of a case, and its results in both directions.
struct Trial {
  Tensor x, weight, bias, y, dy, dx;

  static Shape resultShape(const Case& c) {
    return {c.pictures, c.results, c.height + c.low[0] + c.high[0] - 2, c.width + c.low[1] + c.high[1] - 2};
  }
  static Tensor picture(const Shape& shape, int64_t gap) {
    return Tensor(DType::f32, shape, pictureStrides(shape, gap));
  }

  explicit Trial(const Case& c)
      : x(picture({c.pictures, c.channels, c.height, c.width}, c.gap)),
        weight(DType::f32, {c.results, c.channels, 3, 3}),
        bias(DType::f32, {c.results}),
        y(picture(resultShape(c), 0)),
        dy(picture(resultShape(c), 0)),
        dx(picture({c.pictures, c.channels, c.height, c.width}, c.gap)) {}

  void run(const Case& c, ConvDirection direction, int times = 1) {
    ConvProblem problem{x.spec(), weight.spec(), y.spec(), {1, 1}, c.low, c.high, {1, 1}, 1};
    const bool forward = direction == ConvDirection::forward;
    if (forward) {
      problem.hasBias = c.hasBias;
      problem.activation = c.activation;
    }
    const auto kernel = makeConvWinograd(problem, direction);
    const size_t bytes = (kernel->workspaceBytes() + 63) / 64 * 64;
    const std::unique_ptr<void, decltype(&std::free)> workspace(std::aligned_alloc(64, bytes), &std::free);
    std::memset(workspace.get(), 0xff, bytes);
    const void* inputs[] = {forward ? x.data() : dy.data(), weight.data(), bias.data()};
    void* outputs[] = {forward ? y.data() : dx.data()};
    for (int i = 0; i < times; i++) kernel->run({inputs, outputs, workspace.get()});
  }
};

struct Expected {
  std::vector<double> y, dx;
};

Expected expectedOf(const Case& c, const Trial& trial) {
  const std::vector<double> x = trial.x.values(), weight = trial.weight.values(), bias = trial.bias.values(),
                            dy = trial.dy.values();
  const Shape shape = Trial::resultShape(c);
  Expected expected{{}, std::vector<double>(x.size(), 0)};
  forEachIndex(shape, [&](const Shape& out) {
    double sum = c.hasBias ? bias[static_cast<size_t>(out[1])] : 0;
    const double cotangent = dy[expected.y.size()];
    for (int64_t channel = 0; channel < c.channels; channel++)
      for (int64_t tap = 0; tap < 9; tap++) {
        const int64_t row = out[2] - c.low[0] + tap / 3, column = out[3] - c.low[1] + tap % 3;
        if (row < 0 || row >= c.height || column < 0 || column >= c.width) continue;
        const auto at = static_cast<size_t>(((out[0] * c.channels + channel) * c.height + row) * c.width + column);
        const double factor = weight[static_cast<size_t>((out[1] * c.channels + channel) * 9 + tap)];
        sum += x[at] * factor;
        expected.dx[at] += cotangent * factor;
      }
    expected.y.push_back(activate(c.activation, sum));
  });
  return expected;
}

/// Of integers all sums are exact: transformed taps are multiples of a quarter.
void check(const Case& c) {
  static uint32_t seed = 500;
  Trial trial(c);
  for (Tensor* tensor : {&trial.x, &trial.weight, &trial.bias, &trial.dy}) tensor->integers(seed++, -2, 2);
  trial.run(c, ConvDirection::forward);
  trial.run(c, ConvDirection::inputGrad);
  const Expected expected = expectedOf(c, trial);
  if (c.activation == Activation::none || c.activation == Activation::relu)
    expectExact(c.label() + " y", trial.y, expected.y);
  else
    expectNear(c.label() + " y", trial.y, expected.y);
  expectExact(c.label() + " dx", trial.dx, expected.dx);
}

void checkBits(const Case& c) {
  Trial trial(c);
  uint32_t seed = 1;
  for (Tensor* tensor : {&trial.x, &trial.weight, &trial.bias, &trial.dy}) tensor->random(seed++);
  const int threads = omp_get_max_threads();
  std::vector<unsigned char> first;
  for (int count : {1, 2, 3, 7}) {
    omp_set_num_threads(count);
    for (int times : {1, 2}) {
      trial.y.fill(-1);
      trial.run(c, ConvDirection::forward, times);
      if (first.empty()) first = trial.y.bytes();
      expectTrue(c.label() + " has the same bits with " + std::to_string(count) + " threads", trial.y.bytes() == first);
    }
  }
  omp_set_num_threads(threads);
  trial.run(c, ConvDirection::inputGrad);
  const Expected expected = expectedOf(c, trial);
  expectNear(c.label() + " random y", trial.y, expected.y, {1e-4, 2e-4});
  expectNear(c.label() + " random dx", trial.dx, expected.dx, {1e-4, 2e-4});
}

}  // namespace

void testConvWinograd() {
  // Vectors are of 4, 8 or 16 channels, panels of twice as many; 6 or 12 tiles are multiplied at once, 48 are a block;
  // at most 256 channels are summed at once.
  for (int64_t channels : {1, 3, 4, 7, 8, 9, 16, 17, 31, 33, 64, 65})
    for (int64_t results : {1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33}) check({1, channels, 5, 6, results});
  for (int64_t height : {1, 2, 3, 4, 7, 10})
    for (int64_t width : {1, 2, 3, 5, 8, 13}) {
      check({2, 5, height, width, 6, {1, 1}, {1, 1}, true});
      check({1, 8, height, width, 3, {2, 1}, {1, 2}, true, Activation::relu, 3});
      check({3, 2, height, width, 9, {3, 2}, {2, 4}});
      if (height > 2 && width > 2) check({1, 9, height, width, 4, {0, 0}, {0, 0}, false, Activation::none, 1});
    }
  for (int kind = 1; kind < static_cast<int>(Activation::count); kind++)
    for (bool bias : {false, true}) check({1, 6, 4, 5, 19, {1, 1}, {1, 1}, bias, static_cast<Activation>(kind)});
  check({9, 260, 9, 9, 35});
  checkBits({3, 40, 15, 17, 50, {1, 1}, {1, 1}, true, Activation::gelu});
  checkBits({2, 300, 12, 12, 33});
  Trial strided({1, 8, 6, 6, 8});
  const auto offered = [&](const ConvProblem& problem, ConvDirection direction) {
    return makeConvWinograd(problem, direction) != nullptr;
  };
  ConvProblem problem{strided.x.spec(), strided.weight.spec(), strided.y.spec(), {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
  expectTrue("winograd is offered", offered(problem, ConvDirection::forward));
  expectTrue("winograd is not offered for weights", !offered(problem, ConvDirection::weightGrad));
  problem.dilation = {2, 1};
  expectTrue("winograd is not offered for dilation", !offered(problem, ConvDirection::forward));
}

}  // namespace heddle::test
