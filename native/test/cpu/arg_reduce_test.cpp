// argReduce against plain loops.
#include <cmath>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

void checkArgReduce(DType dtype, const Shape& shape, size_t axis, bool smallest) {
  Tensor x(dtype, shape);
  Shape rest = shape;
  rest.erase(rest.begin() + int64_t(axis));
  Tensor out(DType::i32, rest);
  const std::vector<double> vx = x.integers(uint32_t(axis), 0, dtype == DType::bool_ ? 1 : 5).values();
  int64_t inner = 1, outer = 1;
  for (size_t i = 0; i < shape.size(); i++) (i < axis ? outer : i > axis ? inner : outer) *= i == axis ? 1 : shape[i];
  std::vector<double> expected;
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      int64_t best = 0;
      const auto at = [&](int64_t j) { return vx[size_t((o * shape[axis] + j) * inner + i)]; };
      for (int64_t j = 1; j < shape[axis]; j++)
        if (smallest ? at(j) < at(best) : at(j) > at(best)) best = j;
      expected.push_back(double(best));
    }
  runOp(OpId::argReduce, {smallest ? 1.0 : 0.0, double(axis)}, {&x}, {&out});
  expectExact(std::string("argReduce ") + kDTypeNames[int(dtype)], out, expected);
}

}  // namespace

void testArgReduce() {
  for (DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i8, DType::u8, DType::i32, DType::i64, DType::bool_})
    for (bool smallest : {false, true})
      for (size_t axis : {0, 1, 2}) checkArgReduce(dtype, {5, 40, 3}, axis, smallest);
  Tensor x(DType::f32, {5}), out(DType::i32, {});
  x.assign({1, NAN, 9, NAN, -INFINITY});
  for (double kind : {0.0, 1.0}) {
    runOp(OpId::argReduce, {kind, 0}, {&x}, {&out});
    expectExact("argReduce of NaN", out, {1});
  }
}

}  // namespace heddle::test
