// Ops softmax, logSoftmax and their gradients, over the contiguous last axis.
#include <cmath>
#include <limits>

#include "../core/softmax_problem.h"
#include "kernels.h"
#include "levels.h"
#include "stream.h"

#define HEDDLE_LOOPS "softmax_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

constexpr int64_t kParallelElements = 8192;

template <typename T>
class RowKernel : public Kernel {
 public:
  using Row = void (*)(const T*, T*, int64_t);
  RowKernel(Row row, int64_t rows, int64_t size) : row_(row), rows_(rows), size_(size) {}

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* y = static_cast<T*>(operands.outputs[0]);
    const bool streams = RowWriter<T>::streams(rows_, size_, x == y);
#pragma omp parallel if (rows_ * size_ > kParallelElements)
    {
      RowWriter<T> writer(y, size_, streams);
#pragma omp for schedule(static) nowait
      for (int64_t i = 0; i < rows_; i++) writer.write(i, [&](T* to) { row_(x + i * size_, to, size_); });
    }
  }

 private:
  Row row_;
  int64_t rows_, size_;
};

template <typename T>
class RowGradKernel : public Kernel {
 public:
  using Row = void (*)(const T*, const T*, T*, int64_t);
  RowGradKernel(Row row, int64_t rows, int64_t size) : row_(row), rows_(rows), size_(size) {}

  void run(const RunOperands& operands) override {
    const auto* y = static_cast<const T*>(operands.inputs[0]);
    const auto* dy = static_cast<const T*>(operands.inputs[1]);
    auto* dx = static_cast<T*>(operands.outputs[0]);
    const bool streams = RowWriter<T>::streams(rows_, size_, dx == y || dx == dy);
#pragma omp parallel if (rows_ * size_ > kParallelElements)
    {
      RowWriter<T> writer(dx, size_, streams);
#pragma omp for schedule(static) nowait
      for (int64_t i = 0; i < rows_; i++)
        writer.write(i, [&](T* to) { row_(y + i * size_, dy + i * size_, to, size_); });
    }
  }

 private:
  Row row_;
  int64_t rows_, size_;
};

std::unique_ptr<Kernel> makeSoftmax(WordReader&, Specs inputs, Specs outputs) {
  const SoftmaxRows rows = readSoftmaxRows("softmax", inputs, 1, outputs);
  return dispatchFloat("softmax", inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    return std::make_unique<RowKernel<T>>(HEDDLE_DISPATCH(softmaxRow<T>), rows.count, rows.size);
  });
}

std::unique_ptr<Kernel> makeLogSoftmax(WordReader&, Specs inputs, Specs outputs) {
  const SoftmaxRows rows = readSoftmaxRows("logSoftmax", inputs, 1, outputs);
  return dispatchFloat("logSoftmax", inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    return std::make_unique<RowKernel<T>>(HEDDLE_DISPATCH(logSoftmaxRow<T>), rows.count, rows.size);
  });
}

std::unique_ptr<Kernel> makeSoftmaxGrad(WordReader&, Specs inputs, Specs outputs) {
  const SoftmaxRows rows = readSoftmaxRows("softmaxGrad", inputs, 2, outputs);
  return dispatchFloat("softmaxGrad", inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    return std::make_unique<RowGradKernel<T>>(HEDDLE_DISPATCH(softmaxGradRow<T>), rows.count, rows.size);
  });
}

std::unique_ptr<Kernel> makeLogSoftmaxGrad(WordReader&, Specs inputs, Specs outputs) {
  const SoftmaxRows rows = readSoftmaxRows("logSoftmaxGrad", inputs, 2, outputs);
  return dispatchFloat("logSoftmaxGrad", inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    return std::make_unique<RowGradKernel<T>>(HEDDLE_DISPATCH(logSoftmaxGradRow<T>), rows.count, rows.size);
  });
}

}  // namespace

void registerSoftmax(KernelTable& table) {
  table.add(OpId::softmax, makeSoftmax);
  table.add(OpId::softmaxGrad, makeSoftmaxGrad);
  table.add(OpId::logSoftmax, makeLogSoftmax);
  table.add(OpId::logSoftmaxGrad, makeLogSoftmaxGrad);
}

}  // namespace heddle
