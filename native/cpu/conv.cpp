// Ops conv, convInputGrad and convWeightGrad: chooses an implementation.
#include "conv.h"

#include "kernels.h"
#include "trial.h"

namespace heddle {
namespace {

template <typename Params, ConvDirection direction>
std::unique_ptr<Kernel> make(WordReader& words, Specs inputs, Specs outputs) {
  return makeConv(readConv(Params::read(words), inputs, outputs), direction);
}

std::unique_ptr<Kernel> makeFastestConv(const ConvProblem& p, ConvDirection direction) {
  const auto operand = [](const TensorSpec& spec) {
    return TrialOperand{spec.dtype, static_cast<size_t>(spec.size())};
  };
  const TrialOperand x = operand(p.x), weight = operand(p.weight), y = operand(p.y);
  const TrialOperand bias{p.x.dtype, static_cast<size_t>(p.y.shape[1])};
  const bool forward = direction == ConvDirection::forward, inputGrad = direction == ConvDirection::inputGrad;
  return makeFastest(p.key(direction),
                     {{"plain", [&] { return makeConvPrimitive(p, direction, true); }},
                      {"reordered", [&] { return makeConvPrimitive(p, direction, false); }},
                      {"winograd", [&] { return makeConvWinograd(p, direction); }}},
                     {inputGrad ? y : x, direction == ConvDirection::weightGrad ? y : weight, bias},
                     {forward     ? y
                      : inputGrad ? x
                                  : weight});
}

}  // namespace

std::unique_ptr<Kernel> makeConv(const ConvProblem& problem, ConvDirection direction) {
  const DType dtype = problem.x.dtype;
  if (!isFloat(dtype)) throwUnsupported(nameOf(direction), dtype);
  if (problem.empty() || dtype == DType::f64) return makeConvDirect(problem, direction);
  if (makeConvPrimitive(problem, direction, false) || makeConvPrimitive(problem, direction, true))
    return makeFastestConv(problem, direction);
  return dtype == DType::f32 ? makeConvDirect(problem, direction) : makeConvConverted(problem, direction);
}

void registerConv(KernelTable& table) {
  table.add(OpId::conv, make<ConvParams, ConvDirection::forward>);
  table.add(OpId::convInputGrad, make<ConvInputGradParams, ConvDirection::inputGrad>);
  table.add(OpId::convWeightGrad, make<ConvWeightGradParams, ConvDirection::weightGrad>);
}

}  // namespace heddle
