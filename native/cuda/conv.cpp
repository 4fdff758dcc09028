// Ops conv, convInputGrad and convWeightGrad: chooses between cuDNN's engines and kernels of our own.
#include "conv.h"

#include "cudnn.h"
#include "kernels.h"

namespace heddle::cuda {
namespace {

class EmptyConv : public Kernel {
 public:
  void run(const RunOperands&) override {}
};

std::unique_ptr<Kernel> makeConv(const ConvProblem& p, ConvDirection direction) {
  const DType dtype = p.x.dtype;
  if (!isFloat(dtype)) throwUnsupported(nameOf(direction), dtype);
  const auto elements = [](const TensorSpec& spec) {
    return TrialOperand{spec.dtype, static_cast<size_t>(spec.size())};
  };
  const TrialOperand x = elements(p.x), weight = elements(p.weight), y = elements(p.y);
  const TrialOperand bias{dtype, static_cast<size_t>(p.y.shape[1])};
  const bool forward = direction == ConvDirection::forward, inputGrad = direction == ConvDirection::inputGrad;
  const TrialOperand result = forward ? y : inputGrad ? x : weight;
  if (result.elements == 0) return std::make_unique<EmptyConv>();
  if (p.empty()) return makeConvGeneral(p, direction);
  const std::vector<TrialCandidate> candidates = convPlans(p, direction);
  const std::string key = p.key(direction) + (tensorFloat32Allowed() ? " tf32 " : " ") + dnn::version();
  auto kernel = makeFastest(key, candidates,
                            {inputGrad ? y : x, direction == ConvDirection::weightGrad ? y : weight, bias}, {result});
  return kernel ? std::move(kernel) : makeConvGeneral(p, direction);
}

template <typename Params, ConvDirection direction>
std::unique_ptr<Kernel> make(WordReader& words, Specs inputs, Specs outputs) {
  return makeConv(readConv(Params::read(words), inputs, outputs), direction);
}

}  // namespace

void registerConv(KernelTable& table) {
  table.add(OpId::conv, make<ConvParams, ConvDirection::forward>);
  table.add(OpId::convInputGrad, make<ConvInputGradParams, ConvDirection::inputGrad>);
  table.add(OpId::convWeightGrad, make<ConvWeightGradParams, ConvDirection::weightGrad>);
}

}  // namespace heddle::cuda
