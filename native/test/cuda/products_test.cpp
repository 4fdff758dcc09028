// Matmul on CUDA: operands that begin anywhere, batches of several axes, strides no library takes, integers that wrap,
// one rounding, NaN, and what environment variables change.
#include "products_test.h"

#include <cmath>
#include <cstdlib>

#include "../cpu/kernel_test.h"

namespace heddle::test {

namespace {

using Activation = MatmulParams::Activation;

Words words(bool bias, Activation activation = Activation::none) {
  return {bias ? 1.0 : 0.0, static_cast<double>(activation)};
}

/// The product of operands of equal rank whose batch extents are equal or 1, in double.
std::vector<double> product(const Tensor& a, const Tensor& b, const Shape& shape) {
  const std::vector<double> left = a.values(), right = b.values();
  const size_t rank = shape.size();
  const int64_t k = a.spec().shape.back();
  const auto at = [&](const Tensor& tensor, const Shape& index, int64_t row, int64_t column) {
    const Shape& extents = tensor.spec().shape;
    int64_t position = 0;
    for (size_t axis = 0; axis + 2 < rank; axis++)
      position = position * extents[axis] + (extents[axis] == 1 ? 0 : index[axis]);
    return static_cast<size_t>((position * extents[rank - 2] + row) * extents[rank - 1] + column);
  };
  std::vector<double> out;
  forEachIndex(shape, [&](const Shape& index) {
    double sum = 0;
    for (int64_t p = 0; p < k; p++)
      sum += left[at(a, index, index[rank - 2], p)] * right[at(b, index, p, index[rank - 1])];
    out.push_back(sum);
  });
  return out;
}

void check(const std::string& label, Tensor& a, Tensor& b, const Shape& shape) {
  Tensor out(a.spec().dtype, shape);
  runOp(OpId::matmul, words(false), {&a, &b}, {&out});
  expectExact(label, out, product(a, b, shape));
}

void testMisaligned() {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (int which = 0; which < 16; which++) {
      const auto before = [&](int bit) { return int64_t{which >> bit & 1}; };
      Tensor a(dtype, {8, 16}, {16, 1}, before(0)), b(dtype, {16, 24}, {24, 1}, before(1));
      Tensor bias(dtype, {24}, {1}, before(2)), out(dtype, {8, 24}, {24, 1}, before(3));
      a.integers(1, -2, 2);
      b.integers(2, -2, 2);
      bias.integers(3, -2, 2);
      std::vector<double> expected = product(a, b, {8, 24});
      const std::vector<double> added = bias.values();
      for (size_t i = 0; i < expected.size(); i++) expected[i] += added[i % 24];
      runOp(OpId::matmul, words(true), {&a, &b, &bias}, {&out}, 2);
      expectExact("misaligned " + std::to_string(which) + " " + kDTypeNames[static_cast<int>(dtype)], out, expected);
    }
}

void testBatches() {
  for (const DType dtype : {DType::f32, DType::bf16, DType::i32}) {
    const std::string name = kDTypeNames[static_cast<int>(dtype)];
    // [B, H, T, D] seen in memory of [B, T, H, D], as attention has it.
    Tensor q(dtype, {2, 3, 5, 4}, {60, 4, 12, 1}), k(dtype, {2, 3, 4, 5}, {60, 4, 1, 12});
    check("heads " + name, q.integers(1, -2, 2), k.integers(2, -2, 2), {2, 3, 5, 5});
    Tensor swapped(dtype, {2, 3, 6, 4}, {24, 48, 4, 1});
    check("batch axes the other way round " + name, swapped.integers(3, -2, 2), k, {2, 3, 6, 5});
    Tensor one(dtype, {1, 3, 4, 5}, {0, 20, 5, 1}), two(dtype, {2, 1, 5, 3}, {15, 0, 3, 1});
    check("each repeats one axis " + name, one.integers(4, -2, 2), two.integers(5, -2, 2), {2, 3, 4, 3});
    Tensor back(dtype, {3, 4, 5}, {-20, 5, 1}), straight(dtype, {3, 5, 2});
    check("a batch that runs backwards " + name, back.integers(6, -2, 2), straight.integers(7, -2, 2), {3, 4, 2});
    Tensor same(dtype, {4, 5}, {0, 1}), windows(dtype, {5, 6}, {1, 1}), plain(dtype, {5, 6});
    check("one row for all " + name, same.integers(8, -2, 2), plain.integers(9, -2, 2), {4, 6});
    Tensor left(dtype, {7, 5});
    check("overlapping windows " + name, left.integers(10, -2, 2), windows.integers(11, -2, 2), {7, 6});
    // Every call's offset of 3 elements leaves only element alignment.
    Tensor odd(dtype, {2, 2, 3, 1}, {12, 6, 1, 3}), row(dtype, {2, 2, 1, 8}, {8, 16, 8, 1});
    check("odd offsets " + name, odd.integers(12, -2, 2), row.integers(13, -2, 2), {2, 2, 3, 8});
  }
  Tensor many(DType::f32, {1100, 2, 1, 2}, {2, 2300, 2, 1}), other(DType::f32, {1100, 2, 2, 1}, {4, 2, 1, 1});
  check("many small ones", many.integers(14, -2, 2), other.integers(15, -2, 2), {1100, 2, 1, 1});
}

void testIntegers() {
  Tensor a(DType::i8, {1, 3}), b(DType::i8, {3, 1}), bias(DType::i8, {1}), out(DType::i8, {1, 1});
  a.assign({100, 100, 100});
  b.assign({2, 1, 1});
  runOp(OpId::matmul, words(true), {&a, &b, &bias.fill(-5)}, {&out});
  expectExact("i8 wraps", out, {395 - 512});
  Tensor x(DType::i64, {1, 2}), y(DType::i64, {2, 1}), sum(DType::i64, {1, 1});
  x.assign({4294967296.0, 3});
  y.assign({4294967296.0, 5});
  runOp(OpId::matmul, words(false), {&x, &y}, {&sum});
  expectExact("i64 wraps", sum, {15});
  Tensor u(DType::u8, {1, 2}), v(DType::u8, {2, 1}), w(DType::u8, {1, 1});
  u.assign({200, 100});
  v.assign({1, 1});
  runOp(OpId::matmul, words(false, Activation::relu), {&u, &v}, {&w});
  expectExact("u8 wraps, and stays so under relu", w, {44});
  Tensor p(DType::i32, {2, 1}), q(DType::i32, {1, 2}), r(DType::i32, {2, 2});
  p.assign({-3, 2});
  q.assign({1, -1});
  runOp(OpId::matmul, words(false, Activation::relu), {&p, &q}, {&r});
  expectExact("i32 relu", r, {0, 3, 2, 0});
}

/// A sum that 16 bits cannot hold, brought back by the bias: two roundings would show.
void testOneRounding() {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const double big = dtype == DType::bf16 ? 256 : 2048;
    for (const Activation activation : {Activation::none, Activation::relu}) {
      Tensor a(dtype, {8, 8}), b(dtype, {8, 8}), bias(dtype, {8}), out(dtype, {8, 8});
      std::vector<double> left(64, 0.0);
      for (size_t row = 0; row < 8; row++) {
        left[row * 8] = big;
        left[row * 8 + 1] = 1;
      }
      a.assign(left);
      runOp(OpId::matmul, words(true, activation), {&a, &b.fill(1), &bias.fill(-big)}, {&out});
      expectExact(std::string("rounded once ") + kDTypeNames[static_cast<int>(dtype)] +
                      (activation == Activation::relu ? " relu" : ""),
                  out, std::vector<double>(64, 1.0));
    }
  }
}

void testNaN() {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (const int64_t k : {0, 4})
      for (const Activation activation : {Activation::relu, Activation::gelu, Activation::geluTanh}) {
        Tensor a(dtype, {4, k}), b(dtype, {k, 4}), bias(dtype, {4}), out(dtype, {4, 4});
        bias.assign({NAN, 1, NAN, 0});
        runOp(OpId::matmul, words(true, activation), {&a.fill(0), &b.fill(1), &bias}, {&out});
        const double one = activation == Activation::relu   ? 1
                           : activation == Activation::gelu ? 0.841344746
                                                            : 0.841191991;
        std::vector<double> expected;
        for (int row = 0; row < 4; row++) expected.insert(expected.end(), {NAN, one, NAN, 0});
        expectNear("NaN stays, k = " + std::to_string(k) + " " + kDTypeNames[static_cast<int>(dtype)], out, expected);
      }
}

void testTensorFloat32() {
  const auto run = [] {
    Tensor a(DType::f32, {8, 8}), b(DType::f32, {8, 8}), out(DType::f32, {8, 8});
    // Below half of TF32's last place.
    a.fill(1 + 0x1p-12);
    b.fill(1);
    runOp(OpId::matmul, words(false), {&a, &b}, {&out});
    return out.values().front();
  };
  expectTrue("f32 keeps its digits", run() == 8 * (1 + 0x1p-12));
  setenv("HEDDLE_TF32", "1", 1);
  expectTrue("TF32 where it is asked for", run() == 8);
  unsetenv("HEDDLE_TF32");
  expectTrue("f32 keeps its digits again", run() == 8 * (1 + 0x1p-12));
}

}  // namespace

double productThatTells(long long columns) {
  Tensor a(DType::f32, {4, 4}), b(DType::f32, {4, columns}), out(DType::f32, {4, columns});
  std::vector<double> rows;
  for (int row = 0; row < 4; row++) rows.insert(rows.end(), {1e8, 1, -1e8, 1});
  a.assign(rows);
  runOp(OpId::matmul, words(false), {&a, &b.fill(1)}, {&out});
  return out.values().front();
}

void testProducts() {
  testMisaligned();
  testBatches();
  testIntegers();
  testOneRounding();
  testNaN();
  testTensorFloat32();
}

}  // namespace heddle::test
