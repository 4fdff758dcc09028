// Products and convolutions of 8-bit integers: layouts, and specs that do not fit.
#include <cmath>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

Words list(const Shape& values) {
  Words words{double(values.size())};
  words.insert(words.end(), values.begin(), values.end());
  return words;
}

/// hasInputZeroPoint, hasBias, relu, output, hasOutputZeroPoint.
Words extras(bool zeroPoint, bool bias, bool relu, DType output) {
  return {double(zeroPoint), double(bias), double(relu), double(output), 0};
}

Words convParams(const Words& rest) {
  Words words;
  for (const Words& part : {list({1, 1}), list({1, 1, 1, 1}), list({1, 1}), Words{1}, rest})
    words.insert(words.end(), part.begin(), part.end());
  return words;
}

/// A 3x3 convolution with padding 1 of whole numbers, run twice: the second time with the packed weight at hand.
void testConvLayouts() {
  const Shape x{2, 5, 4, 6}, w{7, 5, 3, 3}, y{2, 7, 4, 6};
  Tensor scale(DType::f32, {}), scales(DType::f32, {7}), zero(DType::i32, {});
  scale.fill(1), scales.fill(1), zero.fill(3);
  for (bool planes : {false, true}) {
    Tensor in(DType::u8, x, planes ? rowMajor(x) : channelsLast(x)), weight(DType::i8, w);
    Tensor out(DType::f32, y, planes ? rowMajor(y) : channelsLast(y));
    in.integers(1, 0, 255);
    weight.integers(2, -128, 127);
    const std::vector<double> a = in.values(), b = weight.values();
    std::vector<double> wanted;
    forEachIndex(y, [&](const Shape& at) {
      double sum = 0;
      forEachIndex({5, 3, 3}, [&](const Shape& k) {
        const int64_t i = at[2] + k[1] - 1, j = at[3] + k[2] - 1;
        if (i < 0 || i >= 4 || j < 0 || j >= 6) return;
        sum += (a[size_t(((at[0] * 5 + k[0]) * 4 + i) * 6 + j)] - 3) *
               b[size_t(((at[1] * 5 + k[0]) * 3 + k[1]) * 3 + k[2])];
      });
      wanted.push_back(sum);
    });
    runOp(OpId::quantizedConv, convParams(extras(true, false, false, DType::f32)),
          {&in, &weight, &scale, &scales, &zero}, {&out}, 2);
    expectExact(planes ? "quantizedConv of planes" : "quantizedConv channels last", out, wanted);
  }
}

void testErrors() {
  Tensor x(DType::u8, {2, 4}), w(DType::i8, {3, 4}), scale(DType::f32, {}), scales(DType::f32, {3}),
      y(DType::f32, {2, 3});
  Tensor floats(DType::f32, {3, 4}), wide(DType::i8, {3, 5}), integers(DType::u8, {2, 3});
  const auto product = [&](const Words& params, std::vector<Tensor*> inputs, Tensor& out) {
    return [=, &out] { runOp(OpId::quantizedMatmul, params, inputs, {&out}); };
  };
  const Words plain = extras(false, false, false, DType::f32);
  expectError("a weight of floats", ErrorCode::invalidPlan, "u8 or i8 by i8",
              product(plain, {&x, &floats, &scale, &scales}, y));
  expectError("other features", ErrorCode::invalidPlan, "[M,K] by [N,K]",
              product(plain, {&x, &wide, &scale, &scales}, y));
  expectError("a missing bias", ErrorCode::invalidPlan, "5 inputs",
              product(extras(false, true, false, DType::f32), {&x, &w, &scale, &scales}, y));
  expectError("an output of another dtype", ErrorCode::invalidPlan, "giving f32, u8 or i8",
              product(plain, {&x, &w, &scale, &scales}, integers));
  expectError("a scale for every element", ErrorCode::invalidPlan, "input scale of 1 elements",
              product(plain, {&x, &w, &scales, &scales}, y));
  const Shape image{1, 2, 4, 4}, kernel{3, 2, 3, 3};
  Tensor in(DType::u8, image), weight(DType::i8, kernel), small(DType::f32, {1, 3, 3, 4});
  expectError("too few positions", ErrorCode::invalidPlan, "positions in each spatial axis",
              [&] { runOp(OpId::quantizedConv, convParams(plain), {&in, &weight, &scale, &scales}, {&small}); });
}

}  // namespace

void testQuantized() {
  testErrors();
  if (__builtin_cpu_supports("avx512vnni")) testConvLayouts();
}

}  // namespace heddle::test
