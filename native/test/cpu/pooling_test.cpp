// Pooling and its gradients against plain loops, in both layouts.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

struct Case {
  Shape x, kernel, stride, low, high, dilation;
};

Words list(const Shape& values) {
  Words words{double(values.size())};
  words.insert(words.end(), values.begin(), values.end());
  return words;
}

Words join(std::initializer_list<Words> parts) {
  Words words;
  for (const Words& part : parts) words.insert(words.end(), part.begin(), part.end());
  return words;
}

/// Visits (input position or -1 in the padding, output position), both in row-major logical order.
void forEachPair(const Case& c, const Shape& y, const std::function<void(int64_t, int64_t, int64_t)>& visit) {
  int64_t o = 0;
  forEachIndex(y, [&](const Shape& out) {
    forEachIndex(c.kernel, [&](const Shape& k) {
      int64_t plane = 0, at = out[0] * c.x[1] + out[1];
      for (size_t i = 0; i < k.size(); i++) {
        const int64_t in = out[i + 2] * c.stride[i] - c.low[i] + k[i] * c.dilation[i];
        if (in < 0 || in >= c.x[i + 2]) return;
        plane = plane * c.x[i + 2] + in;
        at = at * c.x[i + 2] + in;
      }
      visit(at, plane, o);
    });
    o++;
  });
}

struct Layout {
  const char* name;
  Shape (*strides)(const Shape& shape);
};

/// Planes whose rows lie between those of the others.
Shape rowsOfAllChannels(const Shape& shape) {
  std::vector<size_t> order(shape.size());
  for (size_t i = 0; i < order.size(); i++) order[i] = i;
  std::swap(order[1], order[2]);
  return ordered(shape, order);
}

constexpr Layout kLayouts[] = {
    {"", rowMajor}, {" channels-last", channelsLast}, {" rows of all channels", rowsOfAllChannels}};

void check(const Case& c, DType dtype, const Layout& layoutOf) {
  const std::string label = std::string(" ") + kDTypeNames[int(dtype)] + layoutOf.name;
  Shape shape{c.x[0], c.x[1]}, padding = c.low;
  padding.insert(padding.end(), c.high.begin(), c.high.end());
  bool dilated = false;
  for (size_t i = 0; i < c.kernel.size(); i++) {
    shape.push_back((c.x[i + 2] + c.low[i] + c.high[i] - c.dilation[i] * (c.kernel[i] - 1) - 1) / c.stride[i] + 1);
    dilated = dilated || c.dilation[i] != 1;
  }
  const auto layout = layoutOf.strides;
  Tensor x(dtype, c.x, layout(c.x)), y(dtype, shape, layout(shape)), index(DType::i32, shape, layout(shape));
  Tensor dy(dtype, shape, layout(shape)), dx(dtype, c.x, layout(c.x)), gathered(dtype, shape, layout(shape));
  const std::vector<double> vx = x.random(1).values(), vg = dy.integers(2, -3, 3).values();
  std::vector<double> ey(size_t(sizeOf(shape)), -INFINITY), ei(ey.size(), -1), ed(vx.size(), 0), mean(ey.size(), 0);
  std::vector<double> count(ey.size(), 0), at(ey.size(), 0), meanGrad(vx.size(), 0), fullGrad(vx.size(), 0);
  forEachPair(c, shape, [&](int64_t i, int64_t plane, int64_t o) {
    mean[size_t(o)] += vx[size_t(i)];
    count[size_t(o)]++;
    if (!(vx[size_t(i)] > ey[size_t(o)])) return;
    ey[size_t(o)] = vx[size_t(i)];
    ei[size_t(o)] = double(plane);
    at[size_t(o)] = double(i);
  });
  // A window that lies in the padding alone has no element.
  std::vector<double> eg = ey;
  for (size_t o = 0; o < at.size(); o++) {
    if (count[o] > 0)
      ed[size_t(at[o])] += vg[o];
    else
      eg[o] = 0;
  }
  const Words windows = join({list(c.kernel), list(c.stride), list(padding)});
  const Words gapped = join({windows, list(c.dilation)});
  runOp(OpId::maxPool, join({gapped, {0}}), {&x}, {&y});
  expectExact("maxPool without positions" + label, y, ey);
  runOp(OpId::maxPool, join({gapped, {1}}), {&x}, {&y, &index});
  expectExact("maxPool" + label, y, ey);
  expectExact("maxPool index" + label, index, ei);
  runOp(OpId::maxPoolGrad, join({gapped, list(c.x)}), {&dy, &index}, {&dx});
  expectExact("maxPoolGrad" + label, dx, ed);
  runOp(OpId::maxPoolGather, gapped, {&x, &index}, {&gathered});
  expectExact("maxPoolGather" + label, gathered, eg);
  if (dilated) return;
  const double size = double(sizeOf(c.kernel));
  forEachPair(c, shape, [&](int64_t i, int64_t, int64_t o) {
    meanGrad[size_t(i)] += vg[size_t(o)] / count[size_t(o)];
    fullGrad[size_t(i)] += vg[size_t(o)] / size;
  });
  std::vector<double> full = mean;
  for (size_t o = 0; o < mean.size(); o++) {
    mean[o] /= std::max(count[o], 1.0);
    full[o] /= size;
  }
  runOp(OpId::avgPool, join({windows, {0}}), {&x}, {&y});
  expectNear("avgPool" + label, y, mean);
  runOp(OpId::avgPool, join({windows, {1}}), {&x}, {&y});
  expectNear("avgPool with padding" + label, y, full);
  runOp(OpId::avgPoolGrad, join({windows, {0}, list(c.x)}), {&dy}, {&dx});
  expectNear("avgPoolGrad" + label, dx, meanGrad);
  runOp(OpId::avgPoolGrad, join({windows, {1}, list(c.x)}), {&dy}, {&dx});
  expectNear("avgPoolGrad with padding" + label, dx, fullGrad);
}

/// NaN wins, and the last of several; of equal elements the first does.
void checkSpecial(DType dtype, int64_t channels, int64_t kernel, int64_t stride, int64_t padding, bool last) {
  const std::string label = std::string(" of NaN and ties ") + kDTypeNames[int(dtype)] + (last ? " channels-last" : "");
  const auto layout = [&](const Shape& s) { return last ? channelsLast(s) : rowMajor(s); };
  const auto slid = [&](int64_t extent) { return (extent + 2 * padding - kernel) / stride + 1; };
  const Shape in{3, channels, 9, 75}, small{3, channels, slid(9), slid(75)};
  Tensor x(dtype, in, layout(in)), y(dtype, small, layout(small)), index(DType::i32, small, layout(small));
  Tensor dy(dtype, small, layout(small)), dx(dtype, in, layout(in)), gathered(dtype, small, layout(small));
  std::vector<double> vx = x.integers(3, -4, 4).values();
  const bool floating = dtype != DType::i8 && dtype != DType::i64;
  for (size_t i = 0; floating && i < vx.size(); i += 3) vx[i] = i % 2 ? NAN : -INFINITY;
  x.assign(vx);
  const Case c{in, {kernel, kernel}, {stride, stride}, {padding, padding}, {padding, padding}, {1, 1}};
  std::vector<double> ey(size_t(sizeOf(small))), ei(ey.size(), -1), ed(vx.size(), 0), at(ey.size());
  forEachPair(c, small, [&](int64_t i, int64_t plane, int64_t o) {
    const double value = vx[size_t(i)];
    if (ei[size_t(o)] >= 0 && !(value > ey[size_t(o)]) && value == value) return;
    ey[size_t(o)] = value;
    ei[size_t(o)] = double(plane);
    at[size_t(o)] = double(i);
  });
  const std::vector<double> vg = dy.integers(8, 0, 3).values();
  for (size_t o = 0; o < at.size(); o++) ed[size_t(at[o])] += vg[o];
  const Words windows = join({list(c.kernel), list(c.stride), {4}, Words(4, double(padding)), list(c.dilation)});
  if (dtype != DType::i64) {
    runOp(OpId::maxPool, join({windows, {0}}), {&x}, {&y});
    expectExact("maxPool without positions" + label, y, ey);
  }
  runOp(OpId::maxPool, join({windows, {1}}), {&x}, {&y, &index});
  expectExact("maxPool" + label, y, ey);
  expectExact("maxPool index" + label, index, ei);
  runOp(OpId::maxPoolGrad, join({windows, list(in)}), {&dy, &index}, {&dx});
  expectExact("maxPoolGrad" + label, dx, ed);
  runOp(OpId::maxPoolGather, windows, {&x, &index}, {&gathered});
  expectExact("maxPoolGather" + label, gathered, ey);
}

/// Bytes of the whole range in every layout; padding is the least there is.
void checkBytes(const Case& c, DType dtype, const Layout& layoutOf) {
  Shape shape{c.x[0], c.x[1]}, padding = c.low;
  padding.insert(padding.end(), c.high.begin(), c.high.end());
  for (size_t i = 0; i < c.kernel.size(); i++)
    shape.push_back((c.x[i + 2] + c.low[i] + c.high[i] - c.dilation[i] * (c.kernel[i] - 1) - 1) / c.stride[i] + 1);
  const double low = dtype == DType::u8 ? 0 : -128;
  Tensor x(dtype, c.x, layoutOf.strides(c.x), 3), y(dtype, shape, layoutOf.strides(shape), 1);
  // Squared, so that the largest of many differs, and both ends of the range are among them.
  std::vector<double> vx = x.integers(5, 0, 16).values();
  for (double& value : vx) value = low + std::min(value * value, 255.0);
  x.assign(vx);
  std::vector<double> expected(size_t(sizeOf(shape)), low);
  forEachPair(c, shape, [&](int64_t i, int64_t, int64_t o) {
    expected[size_t(o)] = std::max(expected[size_t(o)], vx[size_t(i)]);
  });
  runOp(OpId::maxPool, join({list(c.kernel), list(c.stride), list(padding), list(c.dilation), {0}}), {&x}, {&y});
  expectExact(std::string("maxPool without positions ") + kDTypeNames[int(dtype)] + layoutOf.name, y, expected);
}

/// A zero is a zero whichever sign it has, and infinities are numbers.
void checkZeros(bool last) {
  const Shape in{1, 3, 4, 40}, small{1, 3, 2, 20};
  const auto layout = [&](const Shape& s) { return last ? channelsLast(s) : rowMajor(s); };
  Tensor x(DType::f32, in, layout(in)), y(DType::f32, small, layout(small));
  std::vector<double> vx = x.integers(9, 0, 4).values();
  for (double& value : vx) value = value == 0 ? -0.0 : value == 1 ? 0.0 : value == 2 ? -INFINITY : -1;
  std::vector<double> expected(size_t(sizeOf(small)), -INFINITY);
  const Case c{in, {2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}};
  forEachPair(c, small, [&](int64_t i, int64_t, int64_t o) {
    expected[size_t(o)] = std::max(expected[size_t(o)], vx[size_t(i)]);
  });
  runOp(OpId::maxPool, {2, 2, 2, 2, 2, 2, 4, 0, 0, 0, 0, 2, 1, 1, 0}, {&x.assign(vx)}, {&y});
  expectExact(std::string("maxPool of zeros and infinities") + (last ? " channels-last" : ""), y, expected);
}

}  // namespace

void testPooling() {
  const Case cases[] = {{{2, 3, 8, 6}, {2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}},
                        {{1, 2, 5, 83}, {2, 3}, {1, 2}, {1, 2}, {0, 1}, {1, 2}},
                        {{1, 35, 6, 70}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
                        {{2, 20, 7, 9}, {3, 2}, {2, 1}, {1, 0}, {1, 1}, {1, 1}},
                        {{1, 4, 11}, {3}, {2}, {1}, {0}, {1}},
                        {{1, 2, 9, 9}, {2, 3}, {1, 2}, {1, 1}, {0, 1}, {2, 3}},
                        {{2, 3, 4, 5, 6}, {2, 2, 3}, {2, 1, 1}, {0, 1, 1}, {1, 0, 1}, {1, 1, 1}},
                        {{1, 2, 6, 149}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
                        {{1, 3, 5, 143}, {2, 40}, {1, 30}, {0, 3}, {1, 8}, {1, 1}},
                        {{2, 3, 7, 50}, {1, 2}, {2, 5}, {0, 1}, {0, 1}, {1, 1}},
                        {{2, 5, 7, 6}, {2, 2}, {2, 1}, {3, 3}, {2, 4}, {1, 1}},
                        {{2, 3, 41, 1}, {4, 1}, {1, 1}, {2, 0}, {2, 0}, {1, 1}},
                        {{2, 20, 6, 5}, {6, 5}, {6, 5}, {0, 0}, {0, 0}, {1, 1}},
                        {{1, 2, 300}, {3}, {1}, {1}, {1}, {1}},
                        {{1, 3, 4, 5}, {2, 5}, {2, int64_t{1} << 40}, {0, 0}, {0, 0}, {1, 1}},
                        {{1, 3, 4, 5}, {2, 301}, {2, 1}, {0, 150}, {0, 150}, {1, 1}},
                        {{3, 20, 19, 58}, {4, 3}, {2, 3}, {2, 1}, {1, 0}, {3, 2}},
                        {{2, 3, 9, 73}, {3, 5}, {1, 4}, {1, 2}, {1, 1}, {1, 1}},
                        {{1, 2, 6, 7, 34}, {3, 2, 4}, {1, 1, 3}, {1, 0, 2}, {1, 1, 1}, {2, 1, 1}},
                        {{2, 3, 11, 131}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
                        {{1, 2, 9, 200}, {5, 5}, {1, 3}, {2, 2}, {2, 2}, {1, 1}},
                        {{0, 3, 8, 6}, {2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}}};
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (const Case& c : cases)
      for (const Layout& layout : kLayouts) check(c, dtype, layout);
  for (DType dtype : {DType::u8, DType::i8})
    for (const Case& c : cases)
      for (const Layout& layout : kLayouts) checkBytes(c, dtype, layout);
  for (bool last : {false, true}) checkZeros(last);
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i8, DType::i64})
    for (bool last : {false, true})
      for (int64_t channels : {1, 3, 8, 37}) {
        checkSpecial(dtype, channels, 2, 2, 0, last);
        checkSpecial(dtype, channels, 3, 1, 1, last);
        checkSpecial(dtype, channels, 5, 3, 2, last);
      }
  for (bool last : {false, true}) {
    const Shape in = {1, 2, 2, 2}, small = {1, 2, 1, 1};
    Tensor x(DType::f32, in, last ? channelsLast(in) : rowMajor(in)), y(DType::f32, small), index(DType::i32, small);
    const Words halves{2, 2, 2, 2, 2, 2, 4, 0, 0, 0, 0, 2, 1, 1};
    runOp(OpId::maxPool, join({halves, {1}}), {&x.assign({1, NAN, 3, 2, 4, 5, 6, 1})}, {&y, &index});
    expectExact("maxPool of NaN", y, {NAN, 6});
    index.assign({1, 4});
    expectError("maxPoolGrad index", ErrorCode::invalidArgument, "index 4 at position 1 is out of range",
                [&] { runOp(OpId::maxPoolGrad, join({halves, list(in)}), {&y, &index}, {&x}); });
  }
}

void timePooling() {
  const Shape in = {64, 32, 28, 28}, small = {64, 32, 14, 14};
  for (bool last : {false, true}) {
    const auto layout = [&](const Shape& s) { return last ? channelsLast(s) : rowMajor(s); };
    Tensor x(DType::f32, in, layout(in)), y(DType::f32, small, layout(small)), index(DType::i32, small, layout(small));
    x.random(1);
    const Words halves{2, 2, 2, 2, 2, 2, 4, 0, 0, 0, 0, 2, 1, 1};
    const double a = timeOp(OpId::maxPool, join({halves, {1}}), {&x}, {&y, &index});
    const double c = timeOp(OpId::maxPool, join({halves, {0}}), {&x}, {&y});
    const double b = timeOp(OpId::maxPoolGrad, join({halves, list(in)}), {&y, &index}, {&x});
    std::printf("maxPool 2x2 [64,32,28,28] %s: forward %.3f ms, without positions %.3f ms, gradient %.3f ms\n",
                last ? "channels-last" : "NCHW", a, c, b);
  }
}

}  // namespace heddle::test
