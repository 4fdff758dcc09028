// Softmax, log-softmax, cross-entropy and their gradients against plain f64 formulas.
#include <cmath>
#include <cstdio>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

const DType kFloats[] = {DType::f32, DType::f64, DType::bf16, DType::f16};

void checkRows(DType dtype, const Shape& shape, uint32_t seed) {
  const std::string label = std::string(kDTypeNames[int(dtype)]) + " [..," + std::to_string(shape.back()) + "]";
  Tensor x(dtype, shape), y(dtype, shape), logs(dtype, shape), dy(dtype, shape), dx(dtype, shape), dlog(dtype, shape);
  const std::vector<double> vx = x.random(seed, -6, 6).values(), vg = dy.random(seed + 1).values();
  const size_t size = size_t(shape.back()), count = vx.size();
  std::vector<double> ey(count), el(count), ed(count), edl(count);
  for (size_t first = 0; first < count; first += size) {
    double sum = 0, dot = 0, total = 0;
    for (size_t j = 0; j < size; j++) sum += std::exp(vx[first + j]);
    for (size_t j = first; j < first + size; j++) {
      ey[j] = std::exp(vx[j]) / sum;
      el[j] = vx[j] - std::log(sum);
    }
    y.assign(ey);
    logs.assign(el);
    const std::vector<double> ry = y.values(), rl = logs.values();
    for (size_t j = first; j < first + size; j++) {
      dot += ry[j] * vg[j];
      total += vg[j];
    }
    for (size_t j = first; j < first + size; j++) {
      ed[j] = ry[j] * (vg[j] - dot);
      edl[j] = vg[j] - std::exp(rl[j]) * total;
    }
  }
  runOp(OpId::softmaxGrad, {}, {&y, &dy}, {&dx});
  expectNear("softmaxGrad " + label, dx, ed);
  runOp(OpId::logSoftmaxGrad, {}, {&logs, &dy}, {&dlog});
  expectNear("logSoftmaxGrad " + label, dlog, edl);
  runOp(OpId::softmax, {}, {&x}, {&y});
  expectNear("softmax " + label, y, ey);
  runOp(OpId::logSoftmax, {}, {&x}, {&logs});
  expectNear("logSoftmax " + label, logs, el);
}

/// dx = dy - exp(y) sum(dy) is exp(y) itself behind a first element that alone has a gradient, -1.
void checkExponential(DType dtype) {
  constexpr int64_t kSize = 1 << 18;
  Tensor y(dtype, {kSize}), dy(dtype, {kSize}), dx(dtype, {kSize});
  const std::vector<double> values = y.random(11, dtype == DType::f64 ? -707 : -86.9, 0).values();
  std::vector<double> slope(kSize, 0), expected;
  slope[0] = -1;
  dy.assign(slope);
  for (const double value : values) expected.push_back(static_cast<double>(std::exp(static_cast<long double>(value))));
  expected[0] -= 1;
  runOp(OpId::logSoftmaxGrad, {}, {&y, &dy}, {&dx});
  const double unit = dtype == DType::f64 ? 0x1p-52 : 0x1p-23;
  expectNear(std::string("exp in softmax ") + kDTypeNames[int(dtype)], dx, expected, {1.5 * unit, 0});
}

void checkCrossEntropy(DType dtype, DType index, int64_t rows, int64_t classes, double smoothing) {
  const DType statistic = dtype == DType::f64 ? DType::f64 : DType::f32;
  const std::string label = std::string("crossEntropy ") + kDTypeNames[int(dtype)] + " " + kDTypeNames[int(index)] +
                            " " + std::to_string(classes) + " smoothing " + std::to_string(smoothing);
  Tensor x(dtype, {rows, classes}), targets(index, {rows}), loss(statistic, {rows}), lse(statistic, {rows});
  Tensor dloss(statistic, {rows}), dx(dtype, {rows, classes});
  const std::vector<double> vx = x.random(3, -5, 5).values(), vg = dloss.random(4).values();
  std::vector<double> vt = targets.integers(5, 0, classes - 1).values();
  if (rows > 1) vt[1] = -100;
  targets.assign(vt);
  std::vector<double> el, es, ed;
  for (int64_t i = 0; i < rows; i++) {
    const double* row = vx.data() + i * classes;
    double sum = 0, logs = 0;
    for (int64_t j = 0; j < classes; j++) sum += std::exp(row[j]);
    for (int64_t j = 0; j < classes; j++) logs += std::log(sum) - row[j];
    const int64_t t = int64_t(vt[size_t(i)]);
    es.push_back(std::log(sum));
    el.push_back(t < 0 ? 0 : (1 - smoothing) * (std::log(sum) - row[t]) + smoothing / double(classes) * logs);
    for (int64_t j = 0; j < classes; j++)
      ed.push_back(t < 0 ? 0
                         : vg[size_t(i)] *
                               (std::exp(row[j]) / sum - (j == t ? 1 - smoothing : 0) - smoothing / double(classes)));
  }
  runOp(OpId::crossEntropy, {-100, smoothing}, {&x, &targets}, {&loss, &lse});
  expectNear(label + " loss", loss, el);
  expectNear(label + " lse", lse, es);
  runOp(OpId::crossEntropyGrad, {-100, smoothing}, {&x, &targets, &lse, &dloss}, {&dx});
  expectNear(label + " grad", dx, ed);
}

}  // namespace

void testSoftmax() {
  for (DType dtype : kFloats)
    for (const Shape& shape : {Shape{1}, Shape{3, 10}, Shape{7, 16}, Shape{2, 3, 33}, Shape{5, 1000}, Shape{2, 50257}})
      checkRows(dtype, shape, 1);
  for (DType dtype : {DType::f32, DType::f64}) checkExponential(dtype);
  Tensor empty(DType::f32, {3, 0}), none(DType::f32, {3, 0});
  runOp(OpId::softmax, {}, {&empty}, {&none});
  Tensor x(DType::f32, {3, 20}), y(DType::f32, {3, 20});
  std::vector<double> values(60, 1.0), expected(60, 0.05);
  values[3] = NAN;
  for (size_t j = 20; j < 40; j++) values[j] = 1e30;
  for (size_t j = 41; j < 60; j++) values[j] = -INFINITY;
  for (size_t j = 0; j < 20; j++) expected[j] = NAN;
  for (size_t j = 40; j < 60; j++) expected[j] = j == 40;
  runOp(OpId::softmax, {}, {&x.assign(values)}, {&y});
  expectNear("softmax of NaN, large and infinite values", y, expected);

  for (DType dtype : kFloats)
    for (DType index : {DType::i32, DType::i64})
      for (double smoothing : {0.0, 0.1})
        for (int64_t classes : {1, 10, 300}) checkCrossEntropy(dtype, index, 6, classes, smoothing);
  Tensor logits(DType::f32, {2, 5}), targets(DType::i64, {2}), loss(DType::f32, {2}), lse(DType::f32, {2});
  for (double bad : {-1.0, 5.0, 1e12}) {
    targets.assign({1, bad});
    expectError("crossEntropy target", ErrorCode::invalidArgument, "at position 1 is out of range; with 5 classes",
                [&] { runOp(OpId::crossEntropy, {-100, 0}, {&logits, &targets}, {&loss, &lse}); });
  }
}

void timeSoftmax() {
  Tensor x(DType::f32, {1024, 4096}), y(DType::f32, {1024, 4096}), targets(DType::i32, {1024});
  Tensor loss(DType::f32, {1024}), lse(DType::f32, {1024});
  x.random(1);
  y.random(2);
  targets.integers(3, 0, 4095);
  std::printf("softmax [1024,4096]: %.3f ms\n", timeOp(OpId::softmax, {}, {&x}, {&y}));
  std::printf("crossEntropy [1024,4096]: %.3f ms\n",
              timeOp(OpId::crossEntropy, {-100, 0}, {&x, &targets}, {&loss, &lse}));
  std::printf("crossEntropyGrad [1024,4096]: %.3f ms\n",
              timeOp(OpId::crossEntropyGrad, {-100, 0}, {&x, &targets, &lse, &loss}, {&y}));
}

}  // namespace heddle::test
