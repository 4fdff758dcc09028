// Ops crossEntropy and crossEntropyGrad: softmax cross-entropy of class indices, with ignored rows and smoothing.
#include <cmath>
#include <limits>

#include "../core/cross_entropy_problem.h"
#include "kernels.h"
#include "levels.h"
#include "stream.h"

#define HEDDLE_LOOPS "softmax_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

constexpr int64_t kParallelElements = 8192;

template <typename T, typename Index>
class CrossEntropy : public Kernel {
  using C = Compute<T>;

 public:
  CrossEntropy(const TensorSpec& logits, int64_t ignoreIndex, double smoothing)
      : rows_(logits.shape[0]),
        classes_(logits.shape[1]),
        ignoreIndex_(ignoreIndex),
        smoothing_(static_cast<C>(smoothing)) {}

 protected:
  /// The row's class, -1 where the row is ignored.
  int64_t target(const Index* targets, int64_t row) const {
    return static_cast<int64_t>(targets[row]) == ignoreIndex_ ? -1 : static_cast<int64_t>(targets[row]);
  }

  void checkTargets(const char* op, const Index* targets) const {
    for (int64_t i = 0; i < rows_; i++) {
      const int64_t value = static_cast<int64_t>(targets[i]);
      if (value == ignoreIndex_ || (value >= 0 && value < classes_)) continue;
      throw Error(ErrorCode::invalidArgument,
                  std::string(op) + ": target " + std::to_string(value) + " at position " + std::to_string(i) +
                      " is out of range; with " + std::to_string(classes_) + " classes it must be in [0, " +
                      std::to_string(classes_) + ") or the ignored index " + std::to_string(ignoreIndex_));
    }
  }

  int64_t rows_, classes_, ignoreIndex_;
  C smoothing_;
};

template <typename T, typename Index>
class CrossEntropyForward : public CrossEntropy<T, Index> {
  using C = Compute<T>;

 public:
  using CrossEntropy<T, Index>::CrossEntropy;

  void run(const RunOperands& operands) override {
    const auto* logits = static_cast<const T*>(operands.inputs[0]);
    const auto* targets = static_cast<const Index*>(operands.inputs[1]);
    auto* loss = static_cast<C*>(operands.outputs[0]);
    auto* logSumExp = static_cast<C*>(operands.outputs[1]);
    this->checkTargets("crossEntropy", targets);
    const auto row = HEDDLE_DISPATCH(crossEntropyRow<T>);
#pragma omp parallel for schedule(static) if (this->rows_ * this->classes_ > kParallelElements)
    for (int64_t i = 0; i < this->rows_; i++)
      row(logits + i * this->classes_, this->classes_, this->target(targets, i), this->smoothing_, loss + i,
          logSumExp + i);
  }
};

template <typename T, typename Index>
class CrossEntropyBackward : public CrossEntropy<T, Index> {
  using C = Compute<T>;

 public:
  using CrossEntropy<T, Index>::CrossEntropy;

  void run(const RunOperands& operands) override {
    const auto* logits = static_cast<const T*>(operands.inputs[0]);
    const auto* targets = static_cast<const Index*>(operands.inputs[1]);
    const auto* logSumExp = static_cast<const C*>(operands.inputs[2]);
    const auto* dloss = static_cast<const C*>(operands.inputs[3]);
    auto* dlogits = static_cast<T*>(operands.outputs[0]);
    this->checkTargets("crossEntropyGrad", targets);
    const auto row = HEDDLE_DISPATCH(crossEntropyGradRow<T>);
    const int64_t rows = this->rows_, classes = this->classes_;
    const bool streams = RowWriter<T>::streams(rows, classes, dlogits == logits);
#pragma omp parallel if (rows * classes > kParallelElements)
    {
      RowWriter<T> writer(dlogits, classes, streams);
#pragma omp for schedule(static) nowait
      for (int64_t i = 0; i < rows; i++)
        writer.write(i, [&](T* to) {
          row(logits + i * classes, classes, this->target(targets, i), this->smoothing_, logSumExp[i], dloss[i], to);
        });
    }
  }
};

std::unique_ptr<Kernel> makeCrossEntropy(WordReader& words, Specs inputs, Specs outputs) {
  const CrossEntropyParams params = CrossEntropyParams::read(words);
  checkCrossEntropy(inputs, outputs);
  return dispatchFloat("crossEntropy", inputs[0].dtype, [&](auto tag) {
    return dispatchIndex("crossEntropy", inputs[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<CrossEntropyForward<typename decltype(tag)::type, typename decltype(index)::type>>(
          inputs[0], params.ignoreIndex, params.labelSmoothing);
    });
  });
}

std::unique_ptr<Kernel> makeCrossEntropyGrad(WordReader& words, Specs inputs, Specs outputs) {
  const CrossEntropyGradParams params = CrossEntropyGradParams::read(words);
  checkCrossEntropyGrad(inputs, outputs);
  return dispatchFloat("crossEntropyGrad", inputs[0].dtype, [&](auto tag) {
    return dispatchIndex("crossEntropyGrad", inputs[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<CrossEntropyBackward<typename decltype(tag)::type, typename decltype(index)::type>>(
          inputs[0], params.ignoreIndex, params.labelSmoothing);
    });
  });
}

}  // namespace

void registerCrossEntropy(KernelTable& table) {
  table.add(OpId::crossEntropy, makeCrossEntropy);
  table.add(OpId::crossEntropyGrad, makeCrossEntropyGrad);
}

}  // namespace heddle
