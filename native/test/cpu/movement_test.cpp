// concat, pad and argReduce against plain loops.
#include <cmath>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

const DType kAll[] = {DType::f32, DType::f64, DType::bf16, DType::f16,  DType::i8,
                      DType::u8,  DType::i32, DType::i64,  DType::bool_};

void checkConcat(DType dtype) {
  Tensor a(dtype, {3, 2, 4}), b(dtype, {3, 5, 4}, {1, 12, 3}), c(dtype, {3, 0, 4}), d(dtype, {3, 1, 4}, {0, 0, -1});
  Tensor out(dtype, {3, 8, 4});
  const std::vector<double> va = a.integers(1, 0, 1).values(), vb = b.integers(2, 0, 1).values(),
                            vd = d.integers(3, 0, 1).values();
  std::vector<double> expected;
  forEachIndex({3, 8, 4}, [&](const Shape& i) {
    if (i[1] < 2)
      expected.push_back(va[size_t((i[0] * 2 + i[1]) * 4 + i[2])]);
    else if (i[1] < 7)
      expected.push_back(vb[size_t((i[0] * 5 + i[1] - 2) * 4 + i[2])]);
    else
      expected.push_back(vd[size_t(i[0] * 4 + i[2])]);
  });
  runOp(OpId::concat, {1}, {&a, &b, &c, &d}, {&out});
  expectExact(std::string("concat ") + kDTypeNames[int(dtype)], out, expected);
}

void checkPad(DType dtype) {
  Tensor x(dtype, {3, 4}), out(dtype, {6, 5});
  const std::vector<double> vx = x.integers(1, 0, 1).values();
  std::vector<double> expected;
  forEachIndex({6, 5}, [&](const Shape& i) {
    const bool inside = i[0] >= 1 && i[0] < 4 && i[1] < 4;
    expected.push_back(inside ? vx[size_t((i[0] - 1) * 4 + i[1])] : 1);
  });
  runOp(OpId::pad, {2, 1, 0, 2, 2, 1, 1}, {&x}, {&out});
  expectExact(std::string("pad ") + kDTypeNames[int(dtype)], out, expected);
}

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

void testMovement() {
  for (DType dtype : kAll) {
    checkConcat(dtype);
    checkPad(dtype);
    for (bool smallest : {false, true})
      for (size_t axis : {0, 1, 2}) checkArgReduce(dtype, {5, 40, 3}, axis, smallest);
  }
  Tensor x(DType::f32, {5}), out(DType::i32, {});
  x.assign({1, NAN, 9, NAN, -INFINITY});
  for (double kind : {0.0, 1.0}) {
    runOp(OpId::argReduce, {kind, 0}, {&x}, {&out});
    expectExact("argReduce of NaN", out, {1});
  }
  Tensor a(DType::f32, {2, 3}), b(DType::f32, {2, 4}), joined(DType::f32, {4, 3});
  expectError("concat extents", ErrorCode::invalidPlan, "equal extents in the other axes",
              [&] { runOp(OpId::concat, {0}, {&a, &b}, {&joined}); });
}

}  // namespace heddle::test
