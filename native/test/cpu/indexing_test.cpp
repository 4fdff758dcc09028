// take, indexAdd, gather and scatterAdd against plain loops, with bad indices and repeatability.
#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

const DType kAll[] = {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i8, DType::u8, DType::i32, DType::i64, DType::bool_};

void checkRows(DType dtype, DType index, const Shape& indexShape, int64_t size, const Shape& rest) {
  const std::string label = std::string(kDTypeNames[int(dtype)]) + " " + kDTypeNames[int(index)];
  Shape shape{size}, taken = indexShape;
  shape.insert(shape.end(), rest.begin(), rest.end());
  taken.insert(taken.end(), rest.begin(), rest.end());
  const size_t width = size_t(sizeOf(rest));
  Tensor x(dtype, shape), indices(index, indexShape), y(dtype, taken), sum(dtype, shape);
  const std::vector<double> vx = x.integers(1, 0, 1).values(), vi = indices.integers(2, 0, size - 1).values();
  std::vector<double> expected, added(vx.size(), 0);
  for (double i : vi)
    for (size_t j = 0; j < width; j++) expected.push_back(vx[size_t(i) * width + j]);
  runOp(OpId::take, {}, {&x, &indices}, {&y});
  expectExact("take " + label, y, expected);
  if (dtype == DType::bool_) return;
  const std::vector<double> vy = y.values();
  for (size_t i = 0; i < vi.size(); i++)
    for (size_t j = 0; j < width; j++) added[size_t(vi[i]) * width + j] += vy[i * width + j];
  runOp(OpId::indexAdd, {double(size)}, {&indices, &y}, {&sum});
  expectExact("indexAdd " + label, sum, added);
}

void checkAxis(DType dtype, const Shape& shape, const Shape& indexShape, size_t axis) {
  const std::string label = std::string(kDTypeNames[int(dtype)]) + " axis " + std::to_string(axis);
  Tensor x(dtype, shape), index(DType::i64, indexShape), y(dtype, indexShape), sum(dtype, shape);
  const std::vector<double> vx = x.integers(1, 0, 1).values(), vi = index.integers(2, 0, shape[axis] - 1).values();
  std::vector<double> expected, added = vx;
  size_t at = 0;
  forEachIndex(indexShape, [&](const Shape& position) {
    Shape from = position;
    from[axis] = int64_t(vi[at++]);
    int64_t flat = 0;
    for (size_t i = 0; i < shape.size(); i++) flat = flat * shape[i] + from[i];
    expected.push_back(vx[size_t(flat)]);
    added[size_t(flat)] += vx[size_t(flat)];
  });
  runOp(OpId::gather, {double(axis)}, {&x, &index}, {&y});
  expectExact("gather " + label, y, expected);
  if (dtype == DType::bool_) return;
  runOp(OpId::scatterAdd, {double(axis)}, {&x, &index, &y}, {&sum});
  expectExact("scatterAdd " + label, sum, added);
}

}  // namespace

void testIndexing() {
  for (DType dtype : kAll) {
    for (DType index : {DType::i32, DType::i64}) {
      checkRows(dtype, index, {7}, 5, {3});
      checkRows(dtype, index, {2, 9}, 11, {70});
      checkRows(dtype, index, {}, 4, {2, 3});
      checkRows(dtype, index, {0}, 4, {2});
      checkRows(dtype, index, {20}, 30, {});
    }
    checkAxis(dtype, {4, 5, 6}, {4, 3, 6}, 1);
    checkAxis(dtype, {4, 5, 6}, {3, 5, 2}, 2);
    checkAxis(dtype, {7}, {12}, 0);
    checkAxis(dtype, {3, 4}, {0, 4}, 0);
  }
  Tensor x(DType::f32, {4, 2}), indices(DType::i32, {3}), y(DType::f32, {3, 2}), index(DType::i32, {3, 2});
  for (double bad : {-1.0, 4.0}) {
    indices.assign({0, 1, bad});
    index.assign({0, 0, 0, bad, 0, 0});
    expectError("take", ErrorCode::invalidArgument, "at position 2 is out of range; it must be in [0, 4)",
                [&] { runOp(OpId::take, {}, {&x, &indices}, {&y}); });
    expectError("indexAdd", ErrorCode::invalidArgument, "indexAdd: index",
                [&] { runOp(OpId::indexAdd, {4}, {&indices, &y}, {&x}); });
    expectError("gather", ErrorCode::invalidArgument, "gather: index",
                [&] { runOp(OpId::gather, {0}, {&x, &index}, {&y}); });
    expectError("scatterAdd", ErrorCode::invalidArgument, "scatterAdd: index",
                [&] { runOp(OpId::scatterAdd, {0}, {&x, &index, &y}, {&x}); });
  }
  Tensor many(DType::i64, {20000}), values(DType::f32, {20000, 3}), first(DType::f32, {10, 3}), again(DType::f32, {10, 3});
  many.integers(1, 0, 9);
  values.random(2);
  runOp(OpId::indexAdd, {10}, {&many, &values}, {&first});
  runOp(OpId::indexAdd, {10}, {&many, &values}, {&again});
  expectTrue("indexAdd repeats bit for bit", first.bytes() == again.bytes());
}

}  // namespace heddle::test
