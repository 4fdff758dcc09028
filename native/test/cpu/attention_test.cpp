// Attention and its gradients against plain f64 sums, over masks, causality, grouped heads, dropout, strides and
// dtypes.
#include <cmath>
#include <cstdio>
#include <limits>

#include "../../core/element.h"
#include "../../cpu/fused/loops/philox.h"
#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

struct Case {
  int64_t batch, heads, keyHeads, queries, keys, width, valueWidth;
  bool causal;
  int mask;  // a case of maskOf, 0 for none
  double dropout = 0;
  int64_t before = 0;  // elements that values begin behind
};

// The counter carries into its upper word inside the draw.
constexpr int64_t kSeed = 0x123456789abc, kCounter = 0xfffffff0, kOffset = 9;

/// What dropout makes of a weight of 1, by element of the draw.
double kept(double dropout, size_t position) {
  if (dropout == 0) return 1;
  const auto block = fused::HEDDLE_LEVEL::philox(uint64_t{kCounter + kOffset} + position / 4, kSeed);
  return float(block.word[position % 4] >> 8) * 0x1p-24f < float(dropout) ? 0 : 1 / (1 - dropout);
}

struct Reference {
  std::vector<double> out, logSumExp, qGrad, kGrad, vGrad;
};

/// A mask's element by broadcasting, row-major values.
double maskAt(const Tensor& mask, const std::vector<double>& values, int64_t b, int64_t h, int64_t i, int64_t j) {
  const Shape& shape = mask.spec().shape;
  const int64_t index[] = {b, h, i, j};
  int64_t at = 0;
  for (size_t axis = 0; axis < shape.size(); axis++)
    at = at * shape[axis] + (shape[axis] == 1 ? 0 : index[4 - shape.size() + axis]);
  return values[static_cast<size_t>(at)];
}

Reference reference(const Case& c, double scale, const std::vector<double>& q, const std::vector<double>& k,
                    const std::vector<double>& v, const std::vector<double>& g, const Tensor* mask) {
  Reference r;
  const size_t d = size_t(c.width), e = size_t(c.valueWidth), s = size_t(c.keys);
  r.out.assign(size_t(c.batch * c.heads * c.queries) * e, 0);
  r.qGrad.assign(q.size(), 0);
  r.kGrad.assign(k.size(), 0);
  r.vGrad.assign(v.size(), 0);
  const std::vector<double> maskValues = mask ? mask->values() : std::vector<double>{};
  for (int64_t b = 0; b < c.batch; b++)
    for (int64_t h = 0; h < c.heads; h++)
      for (int64_t i = 0; i < c.queries; i++) {
        const size_t row = size_t((b * c.heads + h) * c.queries + i);
        const size_t keyRow = size_t(b * c.keyHeads + h / (c.heads / c.keyHeads)) * s;
        std::vector<double> p(s, -INFINITY), dp(s, 0);
        double most = -INFINITY, sum = 0, dot = 0;
        for (size_t j = 0; j < s; j++) {
          if (c.causal && int64_t(j) > i + c.keys - c.queries) continue;
          double score = 0;
          for (size_t x = 0; x < d; x++) score += q[row * d + x] * k[(keyRow + j) * d + x];
          score *= scale;
          if (mask) {
            const double m = maskAt(*mask, maskValues, b, h, i, int64_t(j));
            if (mask->spec().dtype == DType::bool_)
              score = m != 0 ? score : -INFINITY;
            else
              score += m;
          }
          p[j] = score;
          most = std::max(most, score);
        }
        for (double& value : p) sum += value = most == -INFINITY ? 0 : std::exp(value - most);
        r.logSumExp.push_back(sum == 0 ? -INFINITY : most + std::log(sum));
        for (size_t j = 0; j < s; j++) {
          p[j] = sum == 0 ? 0 : p[j] / sum;
          const double factor = kept(c.dropout, row * s + j);
          for (size_t x = 0; x < e; x++) {
            r.out[row * e + x] += factor * p[j] * v[(keyRow + j) * e + x];
            dp[j] += factor * g[row * e + x] * v[(keyRow + j) * e + x];
            r.vGrad[(keyRow + j) * e + x] += factor * p[j] * g[row * e + x];
          }
          dot += p[j] * dp[j];
        }
        for (size_t j = 0; j < s; j++)
          for (size_t x = 0; x < d; x++) {
            const double ds = p[j] * (dp[j] - dot) * scale;
            r.qGrad[row * d + x] += ds * k[(keyRow + j) * d + x];
            r.kGrad[(keyRow + j) * d + x] += ds * q[row * d + x];
          }
      }
  return r;
}

/// Masks of each dtype, that lie along their rows, across them, at every third element, or are one element a row.
Tensor maskOf(const Case& c, DType statistic) {
  const int64_t b = c.batch, h = c.heads, t = c.queries, s = c.keys;
  switch (c.mask) {
    case 2: return Tensor(statistic, {t, s}).random(9);
    case 3: return Tensor(DType::bool_, {b, 1, 1, s}).fill(0);
    case 4: return Tensor(DType::bool_, {t, s}, {1, t}).integers(9, 0, 1);
    case 5: return Tensor(DType::bool_, {h, t, 1}).integers(9, 0, 1);
    case 6: return Tensor(DType::bf16, {h, t, s}).random(9);
    case 7: return Tensor(DType::f16, {t, s}, {3 * s, 3}).random(9);
    case 8: return Tensor(DType::f64, {b, 1, t, 1}).random(9);
    default: return Tensor(DType::bool_, {b, 1, t, s}).integers(9, 0, 1);
  }
}

/// [B,H,T,D] as a view of [B,T,H,D] memory.
Tensor headsInside(DType dtype, const Shape& shape) { return Tensor(dtype, shape, ordered(shape, {0, 2, 1, 3})); }

/// `roundsWeights`: the device multiplies weights that are rounded to the dtype, as tensor cores do.
void check(const Case& c, DType dtype, int number, bool roundsWeights) {
  const std::string label = "attention " + std::string(kDTypeNames[int(dtype)]) + " case " + std::to_string(number);
  const DType statistic = dtype == DType::f64 ? DType::f64 : DType::f32;
  const double scale = 1 / std::sqrt(double(c.width));
  Tensor q = headsInside(dtype, {c.batch, c.heads, c.queries, c.width});
  Tensor k = headsInside(dtype, {c.batch, c.keyHeads, c.keys, c.width});
  const Shape values{c.batch, c.keyHeads, c.keys, c.valueWidth};
  Tensor v(dtype, values, rowMajor(values), c.before);
  Tensor out = headsInside(dtype, {c.batch, c.heads, c.queries, c.valueWidth});
  Tensor g(dtype, {c.batch, c.heads, c.queries, c.valueWidth});
  Tensor logSumExp(statistic, {c.batch, c.heads, c.queries});
  q.random(uint32_t(number * 7 + 1), -2, 2);
  k.random(uint32_t(number * 7 + 2), -2, 2);
  v.random(uint32_t(number * 7 + 3));
  g.random(uint32_t(number * 7 + 4));
  Tensor mask = maskOf(c, statistic);
  Tensor* masked = c.mask ? &mask : nullptr;
  const Reference expected = reference(c, scale, q.values(), k.values(), v.values(), g.values(), masked);
  const Words params = {scale, double(c.causal), double(c.mask != 0), c.dropout, kOffset};
  Tensor state(DType::i64, {2});
  state.assign({double(kSeed), double(kCounter)});
  std::vector<Tensor*> inputs{&q, &k, &v};
  if (masked) inputs.push_back(masked);
  if (c.dropout > 0) inputs.push_back(&state);
  runOp(OpId::attention, params, inputs, {&out, &logSumExp});
  Tolerance weighted = toleranceOf(dtype);
  // Each weight is off by up to half a unit in its last place, and dropout multiplies that too.
  if (roundsWeights && dtype == DType::bf16) weighted.absolute = 0x1p-8 / (1 - c.dropout);
  if (roundsWeights && dtype == DType::f16) weighted.absolute = 0x1p-11 / (1 - c.dropout);
  expectNear(label + " out", out, expected.out, weighted);
  expectNear(label + " lse", logSumExp, expected.logSumExp);

  // The saved output has the dtype's rounding; the gradient is compared on the exact one.
  out.assign(expected.out);
  logSumExp.assign(expected.logSumExp);
  Tensor qGrad = headsInside(dtype, q.spec().shape), kGrad = headsInside(dtype, k.spec().shape);
  Tensor vGrad(dtype, v.spec().shape);
  inputs.insert(inputs.end(), {&out, &logSumExp, &g});
  runOp(OpId::attentionGrad, params, inputs, {&qGrad, &kGrad, &vGrad});
  Tolerance tolerance = toleranceOf(dtype);
  // dS subtracts the rounded output's product, so 16-bit errors are relative to the terms, not to the difference.
  if (dtype == DType::bf16) tolerance.absolute = 1e-2;
  if (dtype == DType::f16) tolerance.absolute = 1e-3;
  expectNear(label + " dq", qGrad, expected.qGrad, tolerance);
  expectNear(label + " dk", kGrad, expected.kGrad, tolerance);
  // Libraries on tensor cores round each head's part, below 2 here, before they add up those that share a head of keys.
  if (roundsWeights && c.heads != c.keyHeads) weighted.absolute += weighted.absolute * double(c.heads / c.keyHeads);
  expectNear(label + " dv", vGrad, expected.vGrad, weighted);
}

}  // namespace

void testAttention(bool roundsWeights) {
  const Case cases[] = {
      {2, 2, 2, 7, 9, 8, 8, false, 0},
      {1, 2, 1, 50, 50, 16, 16, true, 0},
      {2, 4, 2, 33, 65, 10, 6, false, 1},
      {1, 1, 1, 130, 300, 32, 16, true, 0},
      {1, 2, 2, 300, 130, 64, 64, true, 0},
      {1, 2, 2, 140, 140, 64, 64, false, 2},
      {2, 3, 3, 128, 128, 64, 64, true, 1},
      {2, 1, 1, 5, 6, 4, 4, false, 3},
      {1, 2, 2, 1, 1, 1, 1, false, 0},
      {1, 2, 2, 0, 4, 8, 8, false, 0},
      {1, 2, 2, 4, 0, 8, 8, false, 0},
      {1, 6, 2, 49, 257, 20, 33, true, 2},
      // Rows of the draw start at every place of a block of Philox, and at whole ones.
      {2, 2, 2, 7, 9, 8, 8, false, 0, 0.4},
      {2, 4, 2, 33, 65, 10, 6, false, 1, 0.1},
      {1, 2, 1, 50, 300, 16, 16, true, 0, 0.5},
      {1, 2, 2, 300, 130, 32, 32, true, 0, 0.9},
      {1, 6, 2, 49, 256, 20, 33, true, 2, 0.25},
      {2, 1, 1, 5, 6, 4, 4, false, 3, 0.5},
      {1, 2, 2, 4, 0, 8, 8, false, 0, 0.5},
      // Heads of every width that a device may pad to, and no queries.
      {1, 4, 2, 300, 300, 80, 80, true, 0},
      {1, 2, 1, 70, 190, 128, 100, false, 0},
      {1, 2, 2, 130, 65, 72, 128, true, 2, 0.3},
      {1, 1, 1, 40, 130, 200, 256, true, 0},
      {1, 2, 1, 33, 70, 256, 131, false, 1, 0.2},
      {2, 2, 2, 0, 5, 8, 8, true, 0},
      {2, 4, 2, 77, 77, 64, 64, true, 0},
      {2, 3, 3, 40, 77, 48, 24, true, 0},
      {2, 2, 2, 9, 20, 16, 16, false, 0, 0, 1},
      // Masks however they lie in memory.
      {1, 2, 2, 20, 150, 16, 16, true, 4},
      {2, 3, 3, 20, 150, 16, 16, false, 5},
      {2, 2, 1, 20, 150, 16, 16, true, 6},
      {1, 2, 2, 20, 150, 16, 16, false, 7},
      {2, 2, 2, 20, 21, 16, 16, true, 8},
      // One query to a few: keys within a vector, at the ends of blocks and of spans and behind them.
      {2, 2, 2, 1, 3, 16, 16, true, 0},
      {2, 3, 3, 1, 128, 64, 64, true, 0},
      {1, 2, 2, 1, 129, 64, 96, false, 0},
      {1, 4, 1, 1, 256, 32, 32, true, 0},
      {2, 2, 2, 1, 257, 8, 40, false, 0, 0, 1},
      {2, 6, 2, 1, 517, 64, 64, true, 0},
      {1, 2, 1, 1, 640, 20, 33, false, 0},
      {1, 1, 1, 1, 300, 128, 1, false, 0},
      {1, 2, 2, 1, 270, 1, 200, true, 0},
      {2, 4, 2, 2, 300, 64, 64, true, 0},
      {1, 3, 1, 5, 384, 48, 80, true, 0},
      {1, 4, 2, 8, 519, 24, 131, false, 0},
      {2, 2, 1, 9, 519, 32, 32, true, 0},
      {2, 2, 2, 8, 5, 16, 16, true, 0},
      {1, 4, 2, 1, 0, 8, 8, true, 0},
      // The same with masks and dropout; case 3 hides all keys.
      {2, 4, 2, 1, 300, 64, 64, true, 1},
      {2, 2, 2, 4, 270, 16, 20, true, 2},
      {2, 2, 1, 2, 300, 16, 16, false, 3},
      {1, 4, 2, 7, 261, 10, 16, true, 4},
      {2, 3, 3, 3, 300, 16, 16, false, 5},
      {2, 4, 1, 2, 390, 64, 64, true, 6},
      {1, 2, 2, 1, 300, 64, 64, false, 7},
      {2, 2, 2, 6, 129, 16, 16, true, 8},
      {1, 6, 3, 1, 523, 64, 64, true, 0, 0.3},
      {2, 4, 2, 5, 301, 20, 33, true, 1, 0.25},
      {2, 2, 2, 3, 258, 16, 16, false, 2, 0.5},
  };
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (const Case& c : cases) check(c, dtype, int(&c - cases), roundsWeights);
  Tensor q(DType::f32, {1, 3, 4, 8}), k(DType::f32, {1, 2, 4, 8}), out(DType::f32, {1, 3, 4, 8});
  Tensor logSumExp(DType::f32, {1, 3, 4});
  expectError("attention heads", ErrorCode::invalidPlan, "H a multiple of Hkv",
              [&] { runOp(OpId::attention, {1, 0, 0, 0, 0}, {&q, &k, &k}, {&out, &logSumExp}); });
  Tensor state(DType::i64, {3});
  expectError("attention state", ErrorCode::invalidPlan, "a generator's state i64[2]",
              [&] { runOp(OpId::attention, {1, 0, 0, 0.5, 0}, {&q, &q, &q, &state}, {&out, &logSumExp}); });
  expectError("attention dropout", ErrorCode::invalidPlan, "a dropout from 0",
              [&] { runOp(OpId::attention, {1, 0, 0, 1, 0}, {&q, &q, &q, &state}, {&out, &logSumExp}); });
}

/// Decoding with a cache of keys and values, which lie as [B,H,S,D] or as [B,S,H,D].
void timeDecoding() {
  const int64_t b = 16, keys = 1024, d = 64;
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (int64_t group : {1, 4})
      for (int64_t queries : {1, 2, 4, 8, 16})
        for (bool inside : {false, true}) {
          const int64_t own = 8, heads = own * group;
          const auto tensorOf = [&](int64_t h, int64_t t) {
            const Shape shape = {b, h, t, d};
            return inside ? headsInside(dtype, shape) : Tensor(dtype, shape);
          };
          Tensor q = tensorOf(heads, queries), k = tensorOf(own, keys), v = tensorOf(own, keys);
          Tensor out = tensorOf(heads, queries);
          Tensor lse(dtype == DType::f64 ? DType::f64 : DType::f32, {b, heads, queries});
          q.random(1);
          k.random(2);
          v.random(3);
          const double time = timeOp(OpId::attention, {0.125, 1, 0, 0, 0}, {&q, &k, &v}, {&out, &lse});
          const double bytes = 2.0 * double(b * own * keys * d * bytesOf(dtype));
          std::printf("attention %s of %d queries, %d heads of keys for %d%s: %.3f ms (%.1f GB/s)\n", nameOf(dtype),
                      int(queries), int(own), int(heads), inside ? " inside rows" : "", time, bytes * 1e-6 / time);
        }
}

void timeAttention() {
  timeDecoding();
  Tensor state(DType::i64, {2});
  state.assign({double(kSeed), double(kCounter)});
  for (int64_t length : {128, 1024})
    for (double causal : {0.0, 1.0})
      for (double dropout : {0.0, 0.1}) {
        const int64_t b = 1024 / length, h = 4, d = 64;
        const Shape shape = {b, h, length, d};
        const Shape strides = {length * 3 * h * d, d, 3 * h * d, 1};
        Tensor q(DType::f32, shape, strides), k(DType::f32, shape, strides), v(DType::f32, shape, strides);
        Tensor out(DType::f32, shape, ordered(shape, {0, 2, 1, 3})), lse(DType::f32, {b, h, length});
        Tensor g(DType::f32, shape, ordered(shape, {0, 2, 1, 3}));
        Tensor dq(DType::f32, shape, strides), dk(DType::f32, shape, strides), dv(DType::f32, shape, strides);
        q.random(1);
        k.random(2);
        v.random(3);
        g.random(4);
        const Words params = {0.125, causal, 0, dropout, 0};
        std::vector<Tensor*> inputs{&q, &k, &v};
        if (dropout > 0) inputs.push_back(&state);
        const double forward = timeOp(OpId::attention, params, inputs, {&out, &lse});
        inputs.insert(inputs.end(), {&out, &lse, &g});
        const double backward = timeOp(OpId::attentionGrad, params, inputs, {&dq, &dk, &dv});
        const double work = 4e-6 * double(b * h * length * length * d) * (causal != 0 ? 0.5 : 1);
        std::printf(
            "attention B=%d H=4 T=%d D=64%s%s: forward %.3f ms (%.0f GFLOP/s), backward %.3f ms (%.0f GFLOP/s)\n",
            int(b), int(length), causal != 0 ? " causal" : "", dropout > 0 ? " dropout" : "", forward, work / forward,
            backward, 2.5 * work / backward);
      }
}

}  // namespace heddle::test
