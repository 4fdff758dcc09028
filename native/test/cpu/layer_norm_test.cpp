// Layer norm and RMS norm and their gradients against plain f64 formulas.
#include <cmath>
#include <cstdio>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

void check(DType dtype, const Shape& shape, int64_t axes, bool centred) {
  const DType statistic = dtype == DType::f64 ? DType::f64 : DType::f32;
  const Shape leading(shape.begin(), shape.end() - axes), last(shape.end() - axes, shape.end());
  const std::string label = std::string(centred ? "layerNorm " : "rmsNorm ") + kDTypeNames[int(dtype)] + " " +
                            std::to_string(sizeOf(leading)) + " x " + std::to_string(sizeOf(last));
  Tensor x(dtype, shape), dy(dtype, shape), y(dtype, shape), dx(dtype, shape), gamma(dtype, last), beta(dtype, last);
  Tensor dgamma(dtype, last), dbeta(dtype, last), mean(statistic, leading), rstd(statistic, leading);
  const std::vector<double> vx = x.random(1, -1, 3).values(), vg = dy.random(2).values();
  const std::vector<double> vw = gamma.random(3, 0.5, 2).values(), vb = beta.random(4).values();
  const size_t size = size_t(sizeOf(last)), rows = size_t(sizeOf(leading));
  std::vector<double> ey, em, es, edx, edg(size, 0), edb(size, 0);
  for (size_t i = 0; i < rows; i++) {
    const double* row = vx.data() + i * size;
    double m = 0, v = 0, a = 0, b = 0;
    for (size_t j = 0; j < size; j++) m += centred ? row[j] / double(size) : 0;
    for (size_t j = 0; j < size; j++) v += (row[j] - m) * (row[j] - m) / double(size);
    const double s = 1 / std::sqrt(v + 1e-5);
    em.push_back(m);
    es.push_back(s);
    for (size_t j = 0; j < size; j++) {
      const double h = (row[j] - m) * s, g = vg[i * size + j];
      ey.push_back(h * vw[j] + (centred ? vb[j] : 0));
      edg[j] += g * h;
      edb[j] += g;
      a += centred ? g * vw[j] / double(size) : 0;
      b += g * vw[j] * h / double(size);
    }
    for (size_t j = 0; j < size; j++)
      edx.push_back(s * (vg[i * size + j] * vw[j] - a - (row[j] - m) * s * b));
  }
  const Words forward = {double(axes), 1e-5}, backward = {double(axes)};
  if (centred) {
    runOp(OpId::layerNorm, forward, {&x, &gamma, &beta}, {&y, &mean, &rstd});
    expectNear(label + " mean", mean, em);
    runOp(OpId::layerNormGrad, backward, {&dy, &x, &gamma, &mean, &rstd}, {&dx, &dgamma, &dbeta});
    expectNear(label + " dbeta", dbeta, edb);
  } else {
    runOp(OpId::rmsNorm, forward, {&x, &gamma}, {&y, &rstd});
    runOp(OpId::rmsNormGrad, backward, {&dy, &x, &gamma, &rstd}, {&dx, &dgamma});
  }
  expectNear(label + " y", y, ey);
  expectNear(label + " rstd", rstd, es);
  expectNear(label + " dx", dx, edx);
  expectNear(label + " dgamma", dgamma, edg);
}

}  // namespace

void testLayerNorm() {
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (bool centred : {true, false}) {
      check(dtype, {3, 5}, 1, centred);
      check(dtype, {2, 3, 64}, 1, centred);
      check(dtype, {4, 3, 7, 5}, 2, centred);
      check(dtype, {100, 96}, 1, centred);
      check(dtype, {2, 3000}, 1, centred);
      check(dtype, {17}, 1, centred);
      check(dtype, {0, 8}, 1, centred);
    }
}

void timeLayerNorm() {
  const Shape shape = {1024, 256};
  Tensor x(DType::f32, shape), dy(DType::f32, shape), y(DType::f32, shape), gamma(DType::f32, {256}), beta(DType::f32, {256});
  Tensor dgamma(DType::f32, {256}), dbeta(DType::f32, {256}), mean(DType::f32, {1024}), rstd(DType::f32, {1024});
  x.random(1);
  dy.random(2);
  gamma.random(3);
  const double forward = timeOp(OpId::layerNorm, {1, 1e-5}, {&x, &gamma, &beta}, {&y, &mean, &rstd});
  const double backward = timeOp(OpId::layerNormGrad, {1}, {&dy, &x, &gamma, &mean, &rstd}, {&y, &dgamma, &dbeta});
  std::printf("layerNorm [1024,256]: forward %.4f ms, backward %.4f ms\n", forward, backward);
}

}  // namespace heddle::test
