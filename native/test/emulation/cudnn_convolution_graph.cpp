// Reads a convolution out of the descriptors of its graph.
#include "cudnn_convolution.h"

namespace heddle::emulation {

namespace {

using namespace cuda::dnn;

double scaleOf(const Impl& operation, int name) {
  return operation.attributes.at(name).type == kTypeDouble ? operation.value<double>(name)
                                                           : operation.value<float>(name);
}

/// Fills in what is to be computed; false where the graph is none that any engine knows.
bool readGraph(const Impl& graph, Convolution& made) {
  const auto& operations = graph.attributes.at(kGraphOperations).descriptors;
  if (operations.empty() || operations.size() > 2) return false;
  const Impl& operation = *operations[0];
  const auto read = [&](int convolution, int x, int weight, int y, int alpha, int beta) {
    const Impl& geometry = operation.part(convolution);
    made.x = layoutOf(operation.part(x));
    made.weight = layoutOf(operation.part(weight));
    made.y = layoutOf(operation.part(y));
    made.padding = geometry.values<int64_t>(kConvolutionPrePaddings);
    made.paddingAfter = geometry.values<int64_t>(kConvolutionPostPaddings);
    made.dilation = geometry.values<int64_t>(kConvolutionDilations);
    made.stride = geometry.values<int64_t>(kConvolutionStrides);
    made.computeType = geometry.value<int>(kConvolutionComputeType);
    made.alpha = scaleOf(operation, alpha);
    made.beta = scaleOf(operation, beta);
  };
  switch (operation.type) {
    case kConvolutionForward:
      made.result = Convolution::Result::y;
      read(kForwardConvolution, kForwardX, kForwardWeight, kForwardY, kForwardAlpha, kForwardBeta);
      break;
    case kConvolutionBackwardData:
      made.result = Convolution::Result::x;
      read(kDataConvolution, kDataDx, kDataWeight, kDataDy, kDataAlpha, kDataBeta);
      break;
    case kConvolutionBackwardFilter:
      made.result = Convolution::Result::weight;
      read(kFilterConvolution, kFilterX, kFilterDw, kFilterDy, kFilterAlpha, kFilterBeta);
      break;
    default: return false;
  }
  if (operations.size() == 1) return true;
  const Impl& addition = *operations[1];
  if (addition.type != kPointwiseOperation || made.result != Convolution::Result::y) return false;
  const Impl& sum = addition.part(kPointwiseX);
  if (addition.part(kPointwiseDescriptor).value<int>(kPointwiseMode) != kPointwiseAdd) return false;
  if (!sum.has(kTensorVirtual) || !sum.value<uint8_t>(kTensorVirtual)) return false;
  if (sum.value<int64_t>(kTensorId) != made.y.id) return false;
  made.biased = true;
  made.bias = layoutOf(addition.part(kPointwiseB));
  made.y = layoutOf(addition.part(kPointwiseY));
  return true;
}

class ConvolutionProblem : public Problem {
 public:
  explicit ConvolutionProblem(Convolution convolution) : c_(std::move(convolution)) {}

  const char* mistake() const override {
    return shapesAgree(c_) ? nullptr : "the shapes of x, weight and y do not agree";
  }
  std::vector<Engine> suggestions(bool fallback) const override { return emulation::suggestions(c_, fallback); }
  const char* refusal(const Engine& engine) const override { return emulation::refusal(c_, engine); }
  int64_t workspaceBytes(const Engine& engine) const override { return emulation::workspaceBytes(c_, engine); }
  const char* refusal(const Engine& engine, const Tensors& tensors, const void* workspace) const override {
    return emulation::refusal(c_, engine, tensors, workspace);
  }
  std::function<void()> work(const Engine& engine, const Tensors& tensors, void* workspace) const override {
    return [=, c = c_] { emulation::run(c, engine, tensors, workspace); };
  }

 private:
  const Convolution c_;
};

}  // namespace

std::shared_ptr<const Problem> convolutionOf(const Impl& graph) {
  Convolution convolution;
  if (!readGraph(graph, convolution)) return nullptr;
  return std::make_shared<const ConvolutionProblem>(std::move(convolution));
}

}  // namespace heddle::emulation
