// take, indexCopy, indexAdd, gather and scatterAdd against plain loops, with bad indices and repeatability.
#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

const DType kAll[] = {DType::f32, DType::f64, DType::bf16, DType::f16,  DType::i8,
                      DType::u8,  DType::i32, DType::i64,  DType::bool_};

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

enum class Spread { even, uneven, one };

/// Rows added up by many indices, whose values are small enough for exact sums.
void checkSums(DType dtype, int64_t count, int64_t size, int64_t width, Spread spread) {
  const std::string label = std::string(kDTypeNames[int(dtype)]) + " of " + std::to_string(count) + " rows of " +
                            std::to_string(width) + " into " + std::to_string(size);
  Tensor indices(DType::i64, {count}), dy(dtype, {count, width}), out(dtype, {size, width});
  std::vector<double> at = indices.integers(uint32_t(count), 0, size - 1).values();
  for (size_t i = 0; i < at.size(); i++)
    if (spread == Spread::one || (spread == Spread::uneven && i % 3)) at[i] = double(size / 2);
  indices.assign(at);
  const std::vector<double> terms = dy.integers(uint32_t(size), 0, 1).values();
  std::vector<double> sums(size_t(size * width), 0);
  for (size_t i = 0; i < terms.size(); i++)
    sums[size_t(at[i / size_t(width)]) * size_t(width) + i % size_t(width)] += terms[i];
  Tensor rounded(dtype, out.spec().shape);
  const auto wrapped = [&] {
    std::vector<double> values = sums;
    if (dtype == DType::i8)
      for (double& value : values) value = double(int8_t(int64_t(value)));
    // One rounding is all a sum may have.
    return dtype == DType::i8 ? values : rounded.assign(values).values();
  };
  runOp(OpId::indexAdd, {double(size)}, {&indices, &dy}, {&out});
  expectExact("indexAdd " + label, out, wrapped());
  if (width != 1) return;
  Tensor x(dtype, {size, 1}), places(DType::i64, {count, 1});
  places.assign(at);
  const std::vector<double> vx = x.integers(3, 0, 1).values();
  for (size_t i = 0; i < vx.size(); i++) sums[i] += vx[i];
  runOp(OpId::scatterAdd, {0}, {&x, &places, &dy}, {&out});
  expectExact("scatterAdd " + label, out, wrapped());
}

/// Rows written one after the other, beside the operand and over it; the last of those that go to one place stays.
void checkCopies(DType dtype, DType index, int64_t count, int64_t size, int64_t width) {
  const std::string label = std::string(kDTypeNames[int(dtype)]) + " " + std::to_string(count) + " of " +
                            std::to_string(width) + " into " + std::to_string(size);
  Tensor x(dtype, {size, width}), indices(index, {count}), rows(dtype, {count, width}), out(dtype, {size, width});
  std::vector<double> expected = x.integers(1, 0, 1).values();
  // None goes to the first and the last.
  const std::vector<double> at = indices.integers(2, 1, size - 2).values(), vr = rows.integers(3, 0, 100).values();
  for (size_t i = 0; i < at.size(); i++)
    for (size_t j = 0; j < size_t(width); j++) expected[size_t(at[i]) * size_t(width) + j] = vr[i * size_t(width) + j];
  runOp(OpId::indexCopy, {}, {&x, &indices, &rows}, {&out});
  expectExact("indexCopy " + label, out, expected);
  runOp(OpId::indexCopy, {}, {&x, &indices, &rows}, {&x});
  expectExact("indexCopy in place " + label, x, expected);
}

void checkUnaligned() {
  for (int64_t before : {0, 1, 2, 4}) {
    Tensor x(DType::f16, {9, 16}, {16, 1}, before), indices(DType::i32, {100}), y(DType::f16, {100, 16}),
        dx(DType::f16, {9, 16}, {16, 1}, before);
    const std::vector<double> vx = x.integers(1, 0, 3).values(), vi = indices.integers(2, 0, 8).values();
    std::vector<double> taken, sums(vx.size(), 0);
    for (double i : vi)
      for (size_t j = 0; j < 16; j++) {
        taken.push_back(vx[size_t(i) * 16 + j]);
        sums[size_t(i) * 16 + j] += taken.back();
      }
    runOp(OpId::take, {}, {&x, &indices}, {&y});
    expectExact("take from unaligned memory", y, taken);
    runOp(OpId::indexAdd, {9}, {&indices, &y}, {&dx});
    expectExact("indexAdd into unaligned memory", dx, sums);
  }
}

/// Results without elements do not excuse an index.
void checkNothing() {
  Tensor x(DType::f32, {4, 0}), indices(DType::i32, {3}), y(DType::f32, {3, 0}), out(DType::f32, {4, 0});
  indices.assign({0, 1, 9});
  expectError("take of nothing", ErrorCode::invalidArgument, "take: index 9 at position 2",
              [&] { runOp(OpId::take, {}, {&x, &indices}, {&y}); });
  expectError("indexAdd of nothing", ErrorCode::invalidArgument, "indexAdd: index 9 at position 2",
              [&] { runOp(OpId::indexAdd, {4}, {&indices, &y}, {&out}); });
  Tensor none(DType::f32, {0, 4}), index(DType::i64, {3, 4}), source(DType::f32, {3, 4}), still(DType::f32, {0, 4});
  index.fill(0);
  expectError("gather from nothing", ErrorCode::invalidArgument, "gather: index 0",
              [&] { runOp(OpId::gather, {0}, {&none, &index}, {&source}); });
  expectError("scatterAdd into nothing", ErrorCode::invalidArgument, "scatterAdd: index 0",
              [&] { runOp(OpId::scatterAdd, {0}, {&none, &index, &source}, {&still}); });
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
    checkAxis(dtype, {30, 7}, {28, 1}, 1);
    checkAxis(dtype, {2, 3, 4, 5, 6}, {2, 3, 2, 4, 6}, 2);
    checkAxis(dtype, {3, 90, 4}, {3, 70, 4}, 1);
    checkAxis(dtype, {3, 90, 4}, {2, 70, 3}, 1);
    if (dtype == DType::bool_) continue;
    // Few rows, wide ones, wide ones into many, narrow ones.
    checkCopies(dtype, DType::i32, 9, 12, 7);
    checkCopies(dtype, DType::i64, 900, 301, 131);
    checkCopies(dtype, DType::i32, 150, 5000, 600);
    checkCopies(dtype, DType::i64, 30000, 2001, 3);
    if (dtype == DType::u8) continue;
    for (Spread spread : {Spread::even, Spread::uneven, Spread::one})
      for (int64_t count : {64, 65, 100}) {
        checkSums(dtype, count, 1, 3, spread);
        checkSums(dtype, count, 300, 8, spread);
        checkSums(dtype, count, 70000, 1, spread);
      }
  }
  for (Spread spread : {Spread::even, Spread::uneven, Spread::one}) {
    checkSums(DType::f32, 5000, 300, 1, spread);
    checkSums(DType::f32, 2100, 700, 12, spread);
    checkSums(DType::f32, 70, 4, 1100, spread);
  }
  checkUnaligned();
  checkNothing();
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
  Tensor sorted(DType::i64, {300}), rows(DType::f32, {300, 2});
  std::vector<double> mostlyGood(300, 1);
  mostlyGood[77] = -3;
  sorted.assign(mostlyGood);
  expectError("indexAdd by many", ErrorCode::invalidArgument, "index -3 at position 77 is out of range",
              [&] { runOp(OpId::indexAdd, {4}, {&sorted, &rows}, {&x}); });
  Tensor many(DType::i64, {20000}), values(DType::f32, {20000, 3}), first(DType::f32, {10, 3}),
      again(DType::f32, {10, 3});
  many.integers(1, 0, 9);
  values.random(2);
  runOp(OpId::indexAdd, {10}, {&many, &values}, {&first});
  runOp(OpId::indexAdd, {10}, {&many, &values}, {&again});
  expectTrue("indexAdd repeats bit for bit", first.bytes() == again.bytes());
}

}  // namespace heddle::test
