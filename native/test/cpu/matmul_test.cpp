// Matmul against a plain f64 product: dtypes, transposes, batches, bias, activations, extents of zero and one.
#include <cmath>

#include <cstdio>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

using Activation = MatmulParams::Activation;

double reference(Activation activation, double x) {
  switch (activation) {
    case Activation::relu: return x > 0 ? x : 0;
    case Activation::gelu: return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::geluTanh: return x * 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::sigmoid: return 1 / (1 + std::exp(-x));
    case Activation::tanh: return std::tanh(x);
    case Activation::silu: return x / (1 + std::exp(-x));
    default: return x;
  }
}

/// The position of a broadcast operand's element in its row-major values.
int64_t position(const Shape& shape, const Shape& batch, int64_t row, int64_t column) {
  const size_t lead = shape.size() - 2;
  int64_t at = 0;
  for (size_t axis = 0; axis < lead; axis++) {
    const int64_t index = batch[batch.size() - lead + axis];
    at = at * shape[axis] + (shape[axis] == 1 ? 0 : index);
  }
  return (at * shape[lead] + row) * shape[lead + 1] + column;
}

void check(const std::string& label, Tensor& a, Tensor& b, Tensor* bias, Activation activation, bool exact) {
  const Shape shapeA = a.spec().shape, shapeB = b.spec().shape;
  const size_t rank = std::max(shapeA.size(), shapeB.size());
  Shape shape(rank);
  for (size_t i = 3; i <= rank; i++) {
    const int64_t extentA = i <= shapeA.size() ? shapeA[shapeA.size() - i] : 1;
    const int64_t extentB = i <= shapeB.size() ? shapeB[shapeB.size() - i] : 1;
    shape[rank - i] = extentA == 1 ? extentB : extentA;
  }
  const int64_t k = shapeA.back();
  shape[rank - 2] = shapeA[shapeA.size() - 2];
  shape[rank - 1] = shapeB.back();
  const std::vector<double> valuesA = a.values(), valuesB = b.values();
  const std::vector<double> valuesBias = bias ? bias->values() : std::vector<double>{};
  std::vector<double> expected;
  forEachIndex(shape, [&](const Shape& index) {
    const Shape batch(index.begin(), index.end() - 2);
    const int64_t row = index[rank - 2], column = index[rank - 1];
    double sum = bias ? valuesBias[static_cast<size_t>(column)] : 0;
    for (int64_t p = 0; p < k; p++)
      sum += valuesA[static_cast<size_t>(position(shapeA, batch, row, p))] *
             valuesB[static_cast<size_t>(position(shapeB, batch, p, column))];
    expected.push_back(reference(activation, sum));
  });
  Tensor out(a.spec().dtype, shape);
  std::vector<Tensor*> inputs{&a, &b};
  if (bias) inputs.push_back(bias);
  runOp(OpId::matmul, {bias ? 1.0 : 0.0, static_cast<double>(activation)}, inputs, {&out});
  if (exact)
    expectExact(label, out, expected);
  else
    expectNear(label, out, expected);
}

Shape strides(const Shape& shape, bool transposed) {
  if (!transposed) return rowMajor(shape);
  std::vector<size_t> order;
  for (size_t axis = 0; axis + 2 < shape.size(); axis++) order.push_back(axis);
  order.push_back(shape.size() - 1);
  order.push_back(shape.size() - 2);
  return ordered(shape, order);
}

}  // namespace

void testMatmul() {
  struct Case {
    Shape a, b;
  };
  const Case cases[] = {
      {{1, 1}, {1, 1}},          {{3, 5}, {5, 7}},          {{17, 33}, {33, 19}},   {{64, 128}, {128, 96}},
      {{1, 40}, {40, 9}},        {{9, 40}, {40, 1}},        {{5, 1}, {1, 6}},       {{0, 3}, {3, 4}},
      {{3, 0}, {0, 4}},          {{2, 3, 4}, {4, 5}},       {{6, 8, 16}, {16, 24}}, {{4, 3, 5}, {4, 5, 2}},
      {{2, 3, 4, 5}, {3, 5, 6}}, {{2, 1, 4, 5}, {3, 5, 6}}, {{3, 4}, {2, 2, 4, 5}}, {{8, 20, 12}, {8, 12, 20}},
      {{100, 130}, {130, 70}},   {{2, 1, 7}, {7, 3}},       {{2, 0, 7}, {2, 7, 3}},
  };
  uint32_t seed = 1;
  for (const Case& c : cases)
    for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i32, DType::i64, DType::i8})
      for (int transposed = 0; transposed < 4; transposed++) {
        const std::string label = "matmul " + std::string(kDTypeNames[static_cast<int>(dtype)]) + " case " +
                                  std::to_string(&c - cases) + " transposed " + std::to_string(transposed);
        Tensor a(dtype, c.a, strides(c.a, transposed & 1)), b(dtype, c.b, strides(c.b, transposed & 2));
        Tensor bias(dtype, {c.b.back()});
        // Sums stay below 127, so that they are exact in every dtype.
        const int64_t limit = dtype == DType::i8 ? 1 : 2;
        a.integers(seed++, -limit, limit);
        b.integers(seed++, -limit, limit);
        check(label + " exact", a, b, &bias.integers(seed++, -3, 3), Activation::none, true);
        if (dtype >= DType::i8) continue;
        a.random(seed++);
        b.random(seed++);
        check(label, a, b, nullptr, Activation::none, false);
      }
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (int activation = 1; activation < static_cast<int>(Activation::count); activation++) {
      Tensor a(dtype, {70, 40}), b(dtype, {40, 50}), bias(dtype, {50});
      const std::string label =
          "matmul activation " + std::to_string(activation) + " " + kDTypeNames[static_cast<int>(dtype)];
      a.random(seed++);
      b.random(seed++);
      bias.random(seed++, -4, 4);
      check(label, a, b, &bias, static_cast<Activation>(activation), false);
      check(label + " without bias", a, b, nullptr, static_cast<Activation>(activation), false);
    }
  Tensor a(DType::f32, {4, 6, 8}, {0, 8, 1}), b(DType::f32, {4, 8, 5}, {0, 5, 1});
  check("matmul repeated batches", a.random(5), b.random(6), nullptr, Activation::none, false);
  Tensor left(DType::f32, {2, 3}), right(DType::f32, {4, 5}), out(DType::f32, {2, 5});
  expectError("matmul inner extents", ErrorCode::invalidPlan, "[..,M,K] x [..,K,N]",
              [&] { runOp(OpId::matmul, {0, 0}, {&left, &right}, {&out}); });
}

void timeMatmul() {
  struct Case {
    int64_t m, k, n;
    bool transposedA, transposedB;
  };
  const Case cases[] = {
      {128, 784, 512, false, false},   {128, 512, 512, false, false},  {784, 128, 512, true, false},
      {512, 128, 512, true, false},    {128, 512, 784, false, true},   {128, 512, 512, false, true},
      {1024, 256, 256, false, false},  {1024, 256, 768, false, false}, {1024, 256, 1024, false, false},
      {1024, 1024, 256, false, false}, {256, 1024, 768, true, false},  {1024, 768, 256, false, true},
      {256, 1024, 1024, true, false},  {1024, 1024, 256, false, true}};
  for (const Case& c : cases) {
    Tensor a(DType::f32, {c.m, c.k}, strides({c.m, c.k}, c.transposedA));
    Tensor b(DType::f32, {c.k, c.n}, strides({c.k, c.n}, c.transposedB));
    Tensor out(DType::f32, {c.m, c.n});
    const double ms = timeOp(OpId::matmul, {0, 0}, {&a.random(1), &b.random(2)}, {&out});
    std::printf("matmul [%d,%d]%s x [%d,%d]%s: %.3f ms, %.0f GFLOP/s\n", int(c.m), int(c.k), c.transposedA ? "T" : "",
                int(c.k), int(c.n), c.transposedB ? "T" : "", ms, 2e-6 * double(c.m) * double(c.k) * double(c.n) / ms);
  }
}

}  // namespace heddle::test
