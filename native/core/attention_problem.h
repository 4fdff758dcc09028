// An attention problem and its gradient's, read from a step's specs: what every backend starts from.
#pragma once

#include <algorithm>
#include <cmath>

#include "check.h"

namespace heddle {

/// Strides of a [batch, head, position, feature] operand whose features have stride 1.
struct HeadStrides {
  int64_t batch, head, row;
};

/// q [B,H,T,D], k [B,Hkv,S,D], v [B,Hkv,S,Dv] of one dtype; strides in elements.
struct AttentionProblem {
  DType dtype;
  int64_t batch, heads, keyHeads, queries, keys, width, valueWidth;
  double scale;
  bool causal, hasMask;
  /// Probability of dropping a weight, and the factor of those that are kept.
  double dropout, keptScale;
  /// A word drops where its upper 24 bits are below: the least that are no smaller a uniform than `dropout` as f32.
  int32_t dropLimit;
  /// Of the weights' draw behind the generator's counter, in blocks of Philox.
  int64_t offset, stateStride;
  DType maskType;
  int64_t maskStrides[4];  // 0 where it repeats
  /// `out` is the output of attention and an input of its gradient; the gradients are outputs of the latter.
  HeadStrides q, k, v, out, outGrad, qGrad, kGrad, vGrad;
  int64_t statisticStrides[3];

  int64_t groupSize() const { return heads / keyHeads; }
  /// q, k, v, and where there are any a mask and a generator's state, which stands last.
  size_t firstOperands() const { return size_t{3} + (hasMask ? 1 : 0) + (dropout > 0 ? 1 : 0); }
};

namespace attention {

inline void readMask(const char* op, AttentionProblem& p, const TensorSpec& mask, Specs inputs, Specs outputs) {
  const int64_t extents[] = {p.batch, p.heads, p.queries, p.keys};
  const size_t rank = mask.shape.size();
  expect(rank <= 4 && (mask.dtype == DType::bool_ || isFloat(mask.dtype)), op,
         "a bool or float mask that broadcasts to [B,H,T,S]", inputs, outputs);
  p.maskType = mask.dtype;
  for (size_t i = 0; i < rank; i++) {
    const size_t axis = 4 - rank + i;
    expect(mask.shape[i] == extents[axis] || mask.shape[i] == 1, op, "a mask that broadcasts to [B,H,T,S]", inputs,
           outputs);
    p.maskStrides[axis] = mask.shape[i] == 1 ? 0 : mask.strides[i];
  }
}

/// Checks an operand of features and gives its strides.
inline HeadStrides readRows(const char* op, const AttentionProblem& p, const TensorSpec& spec,
                            const std::vector<int64_t>& shape, Specs inputs, Specs outputs) {
  expect(spec.dtype == p.dtype && spec.shape == shape && (shape[3] <= 1 || spec.strides[3] == 1), op,
         std::string(nameOf(p.dtype)) + formatList(shape) + " with stride 1 in the last axis", inputs, outputs);
  return {spec.strides[0], spec.strides[1], spec.strides[2]};
}

/// The same of the logarithms of the rows' sums, one value for each query.
inline void readStatistic(const char* op, AttentionProblem& p, const TensorSpec& spec, Specs inputs, Specs outputs) {
  const DType dtype = p.dtype == DType::f64 ? DType::f64 : DType::f32;
  const std::vector<int64_t> shape = {p.batch, p.heads, p.queries};
  expect(spec.dtype == dtype && spec.shape == shape, op, nameOf(dtype) + formatList(shape), inputs, outputs);
  std::copy_n(spec.strides.begin(), 3, p.statisticStrides);
}

/// What both ops have.
template <typename Params>
AttentionProblem read(const char* op, const Params& params, size_t further, size_t outputCount, Specs inputs,
                      Specs outputs) {
  AttentionProblem p{};
  p.scale = params.scale;
  p.causal = params.causal;
  p.hasMask = params.hasMask;
  p.dropout = params.dropout;
  p.offset = params.offset;
  p.keptScale = 1 / (1 - params.dropout);
  expectCount(op, inputs, p.firstOperands() + further, outputs, outputCount);
  for (size_t i = 0; i < 3; i++)
    expect(inputs[i].shape.size() == 4 && inputs[i].dtype == inputs[0].dtype, op, "q, k, v of rank 4 and one dtype",
           inputs, outputs);
  const TensorSpec &q = inputs[0], &k = inputs[1], &v = inputs[2];
  p.dtype = q.dtype;
  p.batch = q.shape[0];
  p.heads = q.shape[1];
  p.queries = q.shape[2];
  p.width = q.shape[3];
  p.keyHeads = k.shape[1];
  p.keys = k.shape[2];
  p.valueWidth = v.shape[3];
  expect(k.shape == std::vector<int64_t>({p.batch, p.keyHeads, p.keys, p.width}) &&
             v.shape == std::vector<int64_t>({p.batch, p.keyHeads, p.keys, p.valueWidth}) &&
             (p.keyHeads > 0 ? p.heads % p.keyHeads == 0 : p.heads == 0),
         op, "q [B,H,T,D], k [B,Hkv,S,D], v [B,Hkv,S,Dv] with H a multiple of Hkv", inputs, outputs);
  p.q = readRows(op, p, q, q.shape, inputs, outputs);
  p.k = readRows(op, p, k, k.shape, inputs, outputs);
  p.v = readRows(op, p, v, v.shape, inputs, outputs);
  if (p.hasMask) readMask(op, p, inputs[3], inputs, outputs);
  expect(p.dropout >= 0 && p.dropout < 1, op, "a dropout from 0 up to, but not, 1", inputs, outputs);
  if (p.dropout > 0) {
    const TensorSpec& state = inputs[p.firstOperands() - 1];
    expect(state.dtype == DType::i64 && state.shape == std::vector<int64_t>{2}, op,
           "a generator's state i64[2] behind the mask", inputs, outputs);
    p.stateStride = state.strides[0];
    p.dropLimit = static_cast<int32_t>(std::ceil(static_cast<float>(p.dropout) * 0x1p24f));
  }
  return p;
}

}  // namespace attention

/// Reads a problem from specs. Throws Error invalidPlan where the specs are not what the op promises.
inline AttentionProblem readAttention(const AttentionParams& params, Specs inputs, Specs outputs) {
  constexpr const char* op = "attention";
  AttentionProblem p = attention::read(op, params, 0, 2, inputs, outputs);
  p.out = attention::readRows(op, p, outputs[0], {p.batch, p.heads, p.queries, p.valueWidth}, inputs, outputs);
  attention::readStatistic(op, p, outputs[1], inputs, outputs);
  return p;
}

inline AttentionProblem readAttention(const AttentionGradParams& params, Specs inputs, Specs outputs) {
  constexpr const char* op = "attentionGrad";
  AttentionProblem p = attention::read(op, params, 3, 3, inputs, outputs);
  const size_t next = p.firstOperands();
  const std::vector<int64_t> shape = {p.batch, p.heads, p.queries, p.valueWidth};
  p.out = attention::readRows(op, p, inputs[next], shape, inputs, outputs);
  attention::readStatistic(op, p, inputs[next + 1], inputs, outputs);
  p.outGrad = attention::readRows(op, p, inputs[next + 2], shape, inputs, outputs);
  p.qGrad = attention::readRows(op, p, outputs[0], inputs[0].shape, inputs, outputs);
  p.kGrad = attention::readRows(op, p, outputs[1], inputs[1].shape, inputs, outputs);
  p.vGrad = attention::readRows(op, p, outputs[2], inputs[2].shape, inputs, outputs);
  return p;
}

}  // namespace heddle
