// Batch norm and its gradient against plain f64 formulas, in equal and mixed layouts.
#include <cmath>
#include <cstdio>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

void check(DType dtype, const Shape& shape, const Shape& layout, const Shape& otherLayout) {
  const DType statistic = dtype == DType::f64 ? DType::f64 : DType::f32;
  const std::string label = std::string("batchNorm ") + kDTypeNames[int(dtype)] + " " + std::to_string(shape.size()) +
                            " axes, channel stride " + std::to_string(layout[1]) + " " + std::to_string(otherLayout[1]);
  const Shape channels{shape[1]};
  Tensor x(dtype, shape, layout), y(dtype, shape, otherLayout), dy(dtype, shape, otherLayout),
      dx(dtype, shape, otherLayout);
  Tensor gamma(dtype, channels), beta(dtype, channels), dgamma(dtype, channels), dbeta(dtype, channels);
  Tensor mean(statistic, channels), variance(statistic, channels), rstd(statistic, channels);
  const std::vector<double> vx = x.random(1, -1, 3).values(), vg = dy.random(2).values();
  const std::vector<double> vw = gamma.random(3, 0.5, 2).values(), vb = beta.random(4).values();
  const size_t c = size_t(shape[1]), inner = size_t(sizeOf(Shape(shape.begin() + 2, shape.end())));
  const double count = double(vx.size() / c);
  std::vector<double> em(c, 0), ev(c, 0), es(c), edg(c, 0), edb(c, 0), ey(vx.size()), edx(vx.size());
  const auto channel = [&](size_t i) { return i / inner % c; };
  for (size_t i = 0; i < vx.size(); i++) em[channel(i)] += vx[i] / count;
  for (size_t i = 0; i < vx.size(); i++) ev[channel(i)] += std::pow(vx[i] - em[channel(i)], 2) / count;
  for (size_t j = 0; j < c; j++) es[j] = 1 / std::sqrt(ev[j] + 1e-5);
  for (size_t i = 0; i < vx.size(); i++) {
    const size_t j = channel(i);
    const double h = (vx[i] - em[j]) * es[j];
    ey[i] = h * vw[j] + vb[j];
    edg[j] += vg[i] * h;
    edb[j] += vg[i];
  }
  for (size_t i = 0; i < vx.size(); i++) {
    const size_t j = channel(i);
    edx[i] = vw[j] * es[j] * (vg[i] - edb[j] / count - (vx[i] - em[j]) * es[j] * edg[j] / count);
  }
  runOp(OpId::batchNorm, {1e-5}, {&x, &gamma, &beta}, {&y, &mean, &variance});
  expectNear(label + " y", y, ey);
  expectNear(label + " mean", mean, em);
  expectNear(label + " variance", variance, ev);
  rstd.assign(es);
  runOp(OpId::batchNormGrad, {}, {&dy, &x, &gamma, &mean, &rstd}, {&dx, &dgamma, &dbeta});
  expectNear(label + " dx", dx, edx);
  expectNear(label + " dgamma", dgamma, edg);
  expectNear(label + " dbeta", dbeta, edb);
}

/// Statistics of many elements whose mean is far from zero, in units of their spread, which is about 1.
void checkStatistics(DType dtype, const Shape& shape, const Shape& layout, double far) {
  const DType statistic = dtype == DType::f64 ? DType::f64 : DType::f32;
  const Shape channels{shape[1]};
  Tensor x(dtype, shape, layout), y(dtype, shape, layout), again(dtype, shape, layout), gamma(dtype, channels),
      beta(dtype, channels), mean(statistic, channels), variance(statistic, channels);
  const std::vector<double> vx = x.random(1, far - 2, far + 2).values();
  const size_t c = size_t(shape[1]), inner = size_t(sizeOf(Shape(shape.begin() + 2, shape.end())));
  const double count = double(vx.size() / c);
  std::vector<double> em(c, 0), ev(c, 0);
  for (size_t i = 0; i < vx.size(); i++) em[i / inner % c] += vx[i] / count;
  for (size_t i = 0; i < vx.size(); i++) ev[i / inner % c] += std::pow(vx[i] - em[i / inner % c], 2) / count;
  gamma.random(2);
  beta.random(3);
  runOp(OpId::batchNorm, {1e-5}, {&x, &gamma, &beta}, {&y, &mean, &variance});
  expectNear("batchNorm mean", mean, em);
  // A mean that is rounded moves every distance: 4 units in the last place of `far` against a spread of 1.
  expectNear("batchNorm variance", variance, ev, {1e-5 + far * 5e-7, 0});
  runOp(OpId::batchNorm, {1e-5}, {&x, &gamma, &beta}, {&again, &mean, &variance});
  expectTrue("batchNorm repeats bit for bit", y.bytes() == again.bytes());
}

}  // namespace

void testBatchNorm() {
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (const Shape& shape :
         {Shape{4, 3, 5, 6}, Shape{8, 20, 7, 7}, Shape{6, 5, 9}, Shape{3, 1, 4, 4}, Shape{2, 3, 2, 3, 4}})
      for (bool last : {false, true})
        for (bool other : {false, true})
          check(dtype, shape, last ? channelsLast(shape) : rowMajor(shape),
                other ? channelsLast(shape) : rowMajor(shape));
  check(DType::f32, {40, 17}, {17, 1}, {17, 1});
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (double far : {0.0, 100.0}) {
      for (bool last : {false, true}) {
        const Shape wide{3, 16, 24, 24}, odd{3, 17, 9, 9};
        checkStatistics(dtype, wide, last ? channelsLast(wide) : rowMajor(wide), far);
        checkStatistics(dtype, odd, last ? channelsLast(odd) : rowMajor(odd), far);
      }
      checkStatistics(dtype, {700, 40}, {40, 1}, far);
      checkStatistics(dtype, {2, 1, 90, 90}, {8100, 8100, 90, 1}, far);
    }
  check(DType::f32, {5, 6, 7}, {7, 35, 1}, {42, 7, 1});
}

void timeBatchNorm() {
  const Shape shape = {64, 64, 28, 28}, c = {64};
  for (bool last : {false, true}) {
    const Shape layout = last ? channelsLast(shape) : rowMajor(shape);
    Tensor x(DType::f32, shape, layout), y(DType::f32, shape, layout), gamma(DType::f32, c), beta(DType::f32, c);
    Tensor mean(DType::f32, c), variance(DType::f32, c);
    x.random(1);
    gamma.random(2);
    const double a = timeOp(OpId::batchNorm, {1e-5}, {&x, &gamma, &beta}, {&y, &mean, &variance});
    const double b = timeOp(OpId::batchNormGrad, {}, {&x, &x, &gamma, &mean, &variance}, {&y, &gamma, &beta});
    std::printf("batchNorm [64,64,28,28] %s: forward %.3f ms, gradient %.3f ms\n", last ? "channels-last" : "NCHW", a,
                b);
  }
}

}  // namespace heddle::test
