// Convolution of bf16 and f16 where the processor has no instructions for them: in f32, rounded at the end.
#include "../core/element.h"
#include "conv.h"
#include "onednn.h"

namespace heddle {
namespace {

template <typename T>
class ConvConverted : public Kernel {
 public:
  ConvConverted(std::unique_ptr<Kernel> kernel, std::vector<int64_t> inputSizes, int64_t outputSize)
      : kernel_(std::move(kernel)), inputSizes_(std::move(inputSizes)), outputSize_(outputSize) {
    wide_.resize(inputSizes_.size());
  }

  size_t workspaceBytes() const override {
    size_t bytes = bytesOf(outputSize_) + kernel_->workspaceBytes();
    for (int64_t size : inputSizes_) bytes += bytesOf(size);
    return bytes;
  }

  // Operands are gapless, so converting their memory in order keeps whatever strides they have.
  void run(const RunOperands& operands) override {
    char* next = static_cast<char*>(operands.workspace);
    const auto take = [&](int64_t size) {
      float* part = reinterpret_cast<float*>(next);
      next += bytesOf(size);
      return part;
    };
    for (size_t i = 0; i < inputSizes_.size(); i++) {
      const auto* from = static_cast<const T*>(operands.inputs[i]);
      float* to = take(inputSizes_[i]);
#pragma omp parallel for simd schedule(static) if (parallel : inputSizes_[i] > 16384)
      for (int64_t j = 0; j < inputSizes_[i]; j++) to[j] = load(from[j]);
      wide_[i] = to;
    }
    float* out = take(outputSize_);
    void* outputs[] = {out};
    kernel_->run({wide_, outputs, next});
    auto* result = static_cast<T*>(operands.outputs[0]);
#pragma omp parallel for simd schedule(static) if (parallel : outputSize_ > 16384)
    for (int64_t j = 0; j < outputSize_; j++) result[j] = store<T>(out[j]);
  }

 private:
  static size_t bytesOf(int64_t size) { return onednn::alignUp(static_cast<size_t>(size) * sizeof(float)); }

  std::unique_ptr<Kernel> kernel_;
  std::vector<int64_t> inputSizes_;
  int64_t outputSize_;
  std::vector<const void*> wide_;
};

}  // namespace

std::unique_ptr<Kernel> makeConvConverted(const ConvProblem& problem, ConvDirection direction) {
  ConvProblem wide = problem;
  wide.x.dtype = wide.weight.dtype = wide.y.dtype = DType::f32;
  const int64_t x = problem.x.size(), weight = problem.weight.size(), y = problem.y.size();
  std::vector<int64_t> inputs;
  int64_t output;
  if (direction == ConvDirection::forward) {
    inputs = {x, weight};
    if (problem.hasBias) inputs.push_back(problem.y.shape[1]);
    output = y;
  } else if (direction == ConvDirection::inputGrad) {
    inputs = {y, weight};
    output = x;
  } else {
    inputs = {x, y};
    output = weight;
  }
  auto kernel = makeConv(wide, direction);
  if (problem.x.dtype == DType::bf16)
    return std::make_unique<ConvConverted<BFloat16>>(std::move(kernel), inputs, output);
  return std::make_unique<ConvConverted<Float16>>(std::move(kernel), inputs, output);
}

}  // namespace heddle
