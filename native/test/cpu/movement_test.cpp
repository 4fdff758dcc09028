// concat and pad against plain loops.
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

void checkConcatTurned(DType dtype) {
  Tensor a(dtype, {2, 40, 7, 9}, channelsLast({2, 40, 7, 9})), b(dtype, {2, 33, 7, 9}, channelsLast({2, 33, 7, 9}));
  Tensor out(dtype, {2, 73, 7, 9});
  const std::vector<double> va = a.integers(1, 0, 1).values(), vb = b.integers(2, 0, 1).values();
  std::vector<double> expected;
  for (int64_t n = 0; n < 2; n++) {
    expected.insert(expected.end(), va.begin() + n * 40 * 63, va.begin() + (n + 1) * 40 * 63);
    expected.insert(expected.end(), vb.begin() + n * 33 * 63, vb.begin() + (n + 1) * 33 * 63);
  }
  runOp(OpId::concat, {1}, {&a, &b}, {&out});
  expectExact(std::string("concat of channels-last ") + kDTypeNames[int(dtype)], out, expected);
}

/// Rows of the output that have few elements of each piece, in more rows than are written at a time.
void checkConcatNarrow(DType dtype, const Shape& widths) {
  constexpr int64_t rows = 20000;
  std::vector<Tensor> parts;
  std::vector<Tensor*> inputs;
  int64_t total = 0;
  for (const int64_t width : widths) total += width;
  std::vector<double> expected(size_t(rows * total));
  parts.reserve(widths.size());
  for (int64_t first = 0; const int64_t width : widths) {
    parts.emplace_back(dtype, Shape{rows, width});
    const std::vector<double> values = parts.back().integers(uint32_t(first + 1), 0, 1).values();
    inputs.push_back(&parts.back());
    for (int64_t i = 0; i < rows * width; i++)
      expected[size_t(i / width * total + first + i % width)] = values[size_t(i)];
    first += width;
  }
  Tensor out(dtype, {rows, total});
  runOp(OpId::concat, {1}, inputs, {&out});
  expectExact("concat of narrow pieces", out, expected);
}

/// `before`: how far from aligned the memory begins.
void checkConcatMany(DType dtype, int64_t count, int64_t width, int64_t before) {
  std::vector<Tensor> parts;
  std::vector<Tensor*> inputs;
  std::vector<double> expected(size_t(3 * count * width));
  parts.reserve(size_t(count));
  for (int64_t i = 0; i < count; i++) {
    parts.emplace_back(dtype, Shape{3, 1, width}, rowMajor({3, 1, width}), before);
    const std::vector<double> values = parts.back().integers(uint32_t(i), 0, 1).values();
    inputs.push_back(&parts.back());
    for (int64_t row = 0; row < 3; row++)
      for (int64_t j = 0; j < width; j++)
        expected[size_t((row * count + i) * width + j)] = values[size_t(row * width + j)];
  }
  Tensor out(dtype, {3, count, width});
  runOp(OpId::concat, {1}, inputs, {&out});
  expectExact("concat of " + std::to_string(count), out, expected);
}

void checkPadOf(DType dtype, const Shape& shape, const Shape& strides, const Shape& low, const Shape& high) {
  Tensor x(dtype, shape, strides);
  const std::vector<double> values = x.integers(4, 0, 1).values();
  Shape padded = shape;
  for (size_t i = 0; i < shape.size(); i++) padded[i] += low[i] + high[i];
  std::vector<double> expected;
  forEachIndex(padded, [&](const Shape& index) {
    bool inside = true;
    int64_t at = 0;
    for (size_t i = 0; i < index.size(); i++) {
      const int64_t position = index[i] - low[i];
      inside = inside && position >= 0 && position < shape[i];
      at = at * shape[i] + position;
    }
    expected.push_back(inside ? values[size_t(at)] : 1);
  });
  Words words{double(low.size())};
  words.insert(words.end(), low.begin(), low.end());
  words.push_back(double(high.size()));
  words.insert(words.end(), high.begin(), high.end());
  words.push_back(1);
  Tensor out(dtype, padded);
  runOp(OpId::pad, words, {&x}, {&out});
  expectExact(std::string("pad ") + kDTypeNames[int(dtype)] + " of " + std::to_string(shape.size()) + " axes", out,
              expected);
}

}  // namespace

void testMovement() {
  for (DType dtype : kAll) {
    checkConcat(dtype);
    checkConcatNarrow(dtype, {1, 1, 1});
    checkConcatNarrow(dtype, {2, 0, 5, 1});
    checkPad(dtype);
    checkConcatTurned(dtype);
    for (int64_t before : {0, 1}) {
      checkConcatMany(dtype, 70, 32, before);
      checkConcatMany(dtype, 70, 5, before);
    }
    checkPadOf(dtype, {3, 5, 8}, {40, 8, 1}, {0, 1, 0}, {0, 2, 0});
    checkPadOf(dtype, {3, 5, 8}, {40, 8, 1}, {0, 0, 16}, {0, 0, 8});
    checkPadOf(dtype, {3, 5, 8}, {1, 3, 15}, {1, 0, 3}, {0, 4, 2});
    checkPadOf(dtype, {3, 5, 8}, {0, -8, 1}, {1, 0, 0}, {0, 4, 0});
    checkPadOf(dtype, {3, 0, 8}, {0, 8, 1}, {1, 2, 0}, {0, 4, 0});
    checkPadOf(dtype, {64, 40, 16}, {640, 16, 1}, {0, 1, 0}, {0, 1, 0});
    checkPadOf(dtype, {7}, {3}, {2}, {3});
    checkPadOf(dtype, {5, 1}, {1, 1}, {1, 0}, {0, 2});
    checkPadOf(dtype, {4, 300, 300}, {90000, 1, 300}, {1, 2, 3}, {0, 1, 2});
    checkPadOf(dtype, {}, {}, {}, {});
  }
  Tensor a(DType::f32, {2, 3}), b(DType::f32, {2, 4}), joined(DType::f32, {4, 3});
  expectError("concat extents", ErrorCode::invalidPlan, "equal extents in the other axes",
              [&] { runOp(OpId::concat, {0}, {&a, &b}, {&joined}); });
}

}  // namespace heddle::test
