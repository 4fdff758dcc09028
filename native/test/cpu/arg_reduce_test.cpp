// argReduce against plain loops.
#include <cmath>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

/// With NaN at `nans` of the operand's elements.
void checkArgReduce(DType dtype, const Shape& shape, size_t axis, bool smallest, const std::vector<size_t>& nans = {}) {
  Tensor x(dtype, shape);
  Shape rest = shape;
  rest.erase(rest.begin() + int64_t(axis));
  Tensor out(DType::i32, rest);
  std::vector<double> vx = x.integers(uint32_t(axis), 0, dtype == DType::bool_ ? 1 : 5).values();
  for (size_t i : nans) vx[i] = NAN;
  if (!nans.empty()) x.assign(vx);
  int64_t inner = 1, outer = 1;
  for (size_t i = 0; i < shape.size(); i++) (i < axis ? outer : i > axis ? inner : outer) *= i == axis ? 1 : shape[i];
  std::vector<double> expected;
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      int64_t best = 0;
      const auto at = [&](int64_t j) { return vx[size_t((o * shape[axis] + j) * inner + i)]; };
      for (int64_t j = 1; j < shape[axis]; j++) {
        if (std::isnan(at(best))) break;
        if (std::isnan(at(j)) || (smallest ? at(j) < at(best) : at(j) > at(best))) best = j;
      }
      expected.push_back(double(best));
    }
  runOp(OpId::argReduce, {smallest ? 1.0 : 0.0, double(axis)}, {&x}, {&out});
  expectExact(std::string("argReduce ") + kDTypeNames[int(dtype)], out, expected);
}

/// The extreme is in the block or part that it is put in, not where it comes again, and NaN before all.
void checkLong(const Shape& shape, size_t axis, const std::vector<size_t>& peaks, const std::vector<size_t>& nans) {
  Tensor x(DType::f32, shape), out(DType::i32, {shape[1 - axis]});
  std::vector<double> values = x.integers(9, -4, 5).values();
  for (size_t i : peaks) values[i] = 6;
  for (size_t i : nans) values[i] = NAN;
  x.assign(values);
  const int64_t count = shape[1 - axis], size = shape[axis];
  std::vector<double> expected;
  for (int64_t i = 0; i < count; i++) {
    const auto at = [&](int64_t j) { return values[size_t(axis == 1 ? i * size + j : j * count + i)]; };
    int64_t best = 0;
    for (int64_t j = 1; j < size && !std::isnan(at(best)); j++)
      if (std::isnan(at(j)) || at(j) > at(best)) best = j;
    expected.push_back(double(best));
  }
  runOp(OpId::argReduce, {0, double(axis)}, {&x}, {&out});
  expectExact("argReduce of long operands", out, expected);
}

}  // namespace

void testArgReduce() {
  for (DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i8, DType::u8, DType::i32, DType::i64, DType::bool_})
    for (bool smallest : {false, true})
      for (size_t axis : {0, 1, 2}) checkArgReduce(dtype, {5, 40, 3}, axis, smallest);
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i8, DType::i64})
    for (size_t axis : {0, 1}) checkArgReduce(dtype, {301, 517}, axis, axis == 1);
  checkArgReduce(DType::f32, {301, 517}, 0, false, {5, 700, 701, 517 * 300 + 4});
  checkArgReduce(DType::f16, {301, 517}, 1, true, {5, 700, 701, 517 * 300 + 4});
  for (const auto& nans : std::vector<std::vector<size_t>>{{}, {61000, 90001}, {0}, {99999}}) {
    checkLong({1, 100000}, 1, {2047, 2048, 70000}, nans);
    checkLong({1, 100000}, 1, {99998}, nans);
    checkLong({2, 50001}, 1, {49999, 50001}, nans);
    checkLong({50000, 2}, 0, {70000, 70001, 80000}, nans);
    checkLong({200, 500}, 0, {12345, 60845, 99000}, nans);
  }
  // Rows of every length around whole vectors, and columns of every number up to what several rows are walked as one.
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::u8, DType::i32, DType::i64})
    for (int64_t length = 1; length <= 70; length++) checkArgReduce(dtype, {3, length}, 1, length % 2 == 0);
  for (int64_t length : {1, 7, 8, 9, 16, 17, 33, 100})
    for (size_t place : {int64_t{0}, length / 2, length - 1}) {
      checkArgReduce(DType::f32, {2, length}, 1, false, {place});
      checkArgReduce(DType::f64, {2, length}, 1, true, {place, size_t(2 * length - 1)});
    }
  for (int64_t columns = 1; columns <= 66; columns++) {
    checkArgReduce(DType::f32, {517, columns}, 0, columns % 2 == 0);
    checkArgReduce(DType::f32, {517, columns}, 0, false, {size_t(300 * columns), size_t(516 * columns + columns / 2)});
    checkArgReduce(DType::i64, {2, 131, columns}, 1, true);
  }
  for (int64_t rows : {1, 2, 4, 5, 6, 127, 128, 129}) checkArgReduce(DType::f32, {rows, 3}, 0, true);
  checkArgReduce(DType::f32, {2, 9, 2500}, 1, false, {2499, 2500, 30000});
  checkArgReduce(DType::f64, {2, 9, 2500}, 1, true, {2499, 2500, 30000});
  Tensor x(DType::f32, {5}), out(DType::i32, {});
  x.assign({1, NAN, 9, NAN, -INFINITY});
  for (double kind : {0.0, 1.0}) {
    runOp(OpId::argReduce, {kind, 0}, {&x}, {&out});
    expectExact("argReduce of NaN", out, {1});
  }
}

}  // namespace heddle::test
