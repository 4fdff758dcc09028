// Ops conv, convInputGrad and convWeightGrad: reads the problem and chooses an implementation.
#include "conv.h"

#include "../core/check.h"
#include "kernels.h"
#include "trial.h"

namespace heddle {
namespace {

const char* nameOf(ConvDirection direction) {
  return direction == ConvDirection::forward     ? "conv"
         : direction == ConvDirection::inputGrad ? "convInputGrad"
                                                 : "convWeightGrad";
}

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
void check(const ConvProblem& p, const char* op, Specs inputs, Specs outputs) {
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

std::unique_ptr<Kernel> makeForward(WordReader& words, Specs inputs, Specs outputs) {
  const ConvParams params = ConvParams::read(words);
  expectCount("conv", inputs, params.hasBias ? 3 : 2, outputs, 1);
  ConvProblem problem{
      inputs[0], inputs[1], outputs[0], {}, {}, {}, {}, 1, params.hasBias, activationOf(params.activation)};
  readGeometry(problem, params);
  check(problem, "conv", inputs, outputs);
  if (params.hasBias)
    expect(inputs[2].dtype == inputs[0].dtype && inputs[2].contiguous() &&
               inputs[2].shape == std::vector<int64_t>{outputs[0].shape[1]},
           "conv", "a contiguous bias [O] of the operands' dtype", inputs, outputs);
  return makeConv(problem, ConvDirection::forward);
}

std::unique_ptr<Kernel> makeInputGrad(WordReader& words, Specs inputs, Specs outputs) {
  const ConvInputGradParams params = ConvInputGradParams::read(words);
  expectCount("convInputGrad", inputs, 2, outputs, 1);
  ConvProblem problem{outputs[0], inputs[1], inputs[0], {}, {}, {}, {}, 1};
  readGeometry(problem, params);
  check(problem, "convInputGrad", inputs, outputs);
  return makeConv(problem, ConvDirection::inputGrad);
}

std::unique_ptr<Kernel> makeWeightGrad(WordReader& words, Specs inputs, Specs outputs) {
  const ConvWeightGradParams params = ConvWeightGradParams::read(words);
  expectCount("convWeightGrad", inputs, 2, outputs, 1);
  ConvProblem problem{inputs[0], outputs[0], inputs[1], {}, {}, {}, {}, 1};
  readGeometry(problem, params);
  check(problem, "convWeightGrad", inputs, outputs);
  return makeConv(problem, ConvDirection::weightGrad);
}

std::string keyOf(const ConvProblem& p, ConvDirection direction) {
  std::string key = nameOf(direction);
  key += heddle::nameOf(p.x.dtype);
  for (const TensorSpec* spec : {&p.x, &p.weight, &p.y}) key += formatList(spec->shape) + formatList(spec->strides);
  for (const auto* list : {&p.stride, &p.paddingLow, &p.paddingHigh, &p.dilation}) key += formatList(*list);
  return key + formatList({p.groups, p.hasBias, static_cast<int64_t>(p.activation)});
}

std::unique_ptr<Kernel> makeFastestConv(const ConvProblem& p, ConvDirection direction) {
  const auto operand = [](const TensorSpec& spec) {
    return TrialOperand{spec.dtype, static_cast<size_t>(spec.size())};
  };
  const TrialOperand x = operand(p.x), weight = operand(p.weight), y = operand(p.y);
  const TrialOperand bias{p.x.dtype, static_cast<size_t>(p.y.shape[1])};
  const bool forward = direction == ConvDirection::forward, inputGrad = direction == ConvDirection::inputGrad;
  return makeFastest(
      keyOf(p, direction),
      {[&] { return makeConvPrimitive(p, direction, true); }, [&] { return makeConvPrimitive(p, direction, false); }},
      {inputGrad ? y : x, direction == ConvDirection::weightGrad ? y : weight, bias},
      {forward     ? y
       : inputGrad ? x
                   : weight});
}

}  // namespace

std::unique_ptr<Kernel> makeConv(const ConvProblem& problem, ConvDirection direction) {
  const bool empty = problem.x.size() == 0 || problem.y.size() == 0 || problem.weight.size() == 0;
  const DType dtype = problem.x.dtype;
  if (!isFloat(dtype)) throwUnsupported(nameOf(direction), dtype);
  if (empty || dtype == DType::f64) return makeConvDirect(problem, direction);
  if (makeConvPrimitive(problem, direction, false) || makeConvPrimitive(problem, direction, true))
    return makeFastestConv(problem, direction);
  return dtype == DType::f32 ? makeConvDirect(problem, direction) : makeConvConverted(problem, direction);
}

void registerConv(KernelTable& table) {
  table.add(OpId::conv, makeForward);
  table.add(OpId::convInputGrad, makeInputGrad);
  table.add(OpId::convWeightGrad, makeWeightGrad);
}

}  // namespace heddle
