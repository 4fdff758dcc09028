// A convolution problem in its three directions, read from a step's specs: what every backend starts from.
#pragma once

#include "activation.h"
#include "check.h"

namespace heddle {

/// Which operand a convolution kernel computes from the other two.
enum class ConvDirection { forward, inputGrad, weightGrad };

/// The op of a direction.
inline const char* nameOf(ConvDirection direction) {
  return direction == ConvDirection::forward     ? "conv"
         : direction == ConvDirection::inputGrad ? "convInputGrad"
                                                 : "convWeightGrad";
}

/// Logical shapes [N, C, spatial...] and [O, C / groups, kernel...], strides in elements, one dtype.
struct ConvProblem {
  TensorSpec x, weight, y;
  std::vector<int64_t> stride, paddingLow, paddingHigh, dilation;
  int64_t groups;
  bool hasBias = false;
  Activation activation = Activation::none;

  size_t spatialRank() const { return stride.size(); }
  bool empty() const { return x.size() == 0 || y.size() == 0 || weight.size() == 0; }
  std::string key(ConvDirection direction) const;
};

inline std::string ConvProblem::key(ConvDirection direction) const {
  std::string key = nameOf(direction);
  key += nameOf(x.dtype);
  for (const TensorSpec* spec : {&x, &weight, &y}) key += formatList(spec->shape) + formatList(spec->strides);
  for (const auto* list : {&stride, &paddingLow, &paddingHigh, &dilation}) key += formatList(*list);
  return key + formatList({groups, hasBias, static_cast<int64_t>(activation)});
}

namespace conv {

template <typename Params>
void readGeometry(ConvProblem& problem, const Params& params) {
  const auto rank = static_cast<std::ptrdiff_t>(params.stride.size());
  problem.stride = params.stride;
  problem.dilation = params.dilation;
  problem.groups = params.groups;
  if (static_cast<std::ptrdiff_t>(params.padding.size()) != 2 * rank) return;
  problem.paddingLow.assign(params.padding.begin(), params.padding.begin() + rank);
  problem.paddingHigh.assign(params.padding.begin() + rank, params.padding.end());
}

/// Everything a kernel relies on, so that no plan can make one read outside its operands.
inline void check(const ConvProblem& p, const char* op, Specs inputs, Specs outputs) {
  const size_t rank = p.spatialRank();
  expect(rank >= 1 && rank <= 3 && p.dilation.size() == rank && p.paddingLow.size() == rank && p.groups >= 1, op,
         "stride, dilation and [low..., high...] padding for 1 to 3 spatial axes", inputs, outputs);
  expect(p.x.shape.size() == rank + 2 && p.weight.shape.size() == rank + 2 && p.y.shape.size() == rank + 2, op,
         "[N,C,spatial...], [O,C/groups,kernel...] and [N,O,spatial...]", inputs, outputs);
  expect(p.x.dtype == p.weight.dtype && p.x.dtype == p.y.dtype, op, "operands of one dtype", inputs, outputs);
  expect(p.x.shape[0] == p.y.shape[0] && p.x.shape[1] == p.weight.shape[1] * p.groups &&
             p.y.shape[1] == p.weight.shape[0] && p.weight.shape[0] % p.groups == 0,
         op, "batch and channels that agree, with groups " + std::to_string(p.groups), inputs, outputs);
  for (size_t i = 0; i < rank; i++) {
    const bool positive = p.stride[i] >= 1 && p.dilation[i] >= 1 && p.weight.shape[i + 2] >= 1 &&
                          p.paddingLow[i] >= 0 && p.paddingHigh[i] >= 0;
    const int64_t reach = p.dilation[i] * (p.weight.shape[i + 2] - 1) + 1;
    const int64_t room = p.x.shape[i + 2] + p.paddingLow[i] + p.paddingHigh[i] - reach;
    expect(positive && p.y.shape[i + 2] == (room < 0 ? 0 : room / p.stride[i] + 1), op,
           "floor((input + padding - dilation * (kernel - 1) - 1) / stride) + 1 positions in each spatial axis", inputs,
           outputs);
  }
}

}  // namespace conv

/// Reads a problem from specs, for each direction. Throws Error invalidPlan where the specs are not what the op
/// promises.
inline ConvProblem readConv(const ConvParams& params, Specs inputs, Specs outputs) {
  expectCount("conv", inputs, params.hasBias ? 3 : 2, outputs, 1);
  ConvProblem problem{
      inputs[0], inputs[1], outputs[0], {}, {}, {}, {}, 1, params.hasBias, activationOf(params.activation)};
  conv::readGeometry(problem, params);
  conv::check(problem, "conv", inputs, outputs);
  if (params.hasBias)
    expect(inputs[2].dtype == inputs[0].dtype && inputs[2].contiguous() &&
               inputs[2].shape == std::vector<int64_t>{outputs[0].shape[1]},
           "conv", "a contiguous bias [O] of the operands' dtype", inputs, outputs);
  return problem;
}

inline ConvProblem readConv(const ConvInputGradParams& params, Specs inputs, Specs outputs) {
  expectCount("convInputGrad", inputs, 2, outputs, 1);
  ConvProblem problem{outputs[0], inputs[1], inputs[0], {}, {}, {}, {}, 1};
  conv::readGeometry(problem, params);
  conv::check(problem, "convInputGrad", inputs, outputs);
  return problem;
}

inline ConvProblem readConv(const ConvWeightGradParams& params, Specs inputs, Specs outputs) {
  expectCount("convWeightGrad", inputs, 2, outputs, 1);
  ConvProblem problem{inputs[0], outputs[0], inputs[1], {}, {}, {}, {}, 1};
  conv::readGeometry(problem, params);
  conv::check(problem, "convWeightGrad", inputs, outputs);
  return problem;
}

}  // namespace heddle
