// Ops softmax, logSoftmax and their gradients, over the contiguous last axis: one block per row.
#include "../core/check.h"
#include "device/reduce.h"
#include "device/scalar.h"
#include "kernels.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

template <bool logarithm, typename T>
__global__ void softmaxRows(const T* x, T* y, int64_t rows, int64_t size) {
  using C = Compute<T>;
  __shared__ C scratch[32];
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* from = x + row * size;
    T* to = y + row * size;
    C peak = -INFINITY;
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x) peak = Max::combine(peak, widen(from[i]));
    peak = blockReduce<Max>(peak, static_cast<C>(-INFINITY), scratch);
    // A row of infinities has NaN; one of minus infinity only would have too, by the same formula.
    C total = 0;
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x) total += exp(widen(from[i]) - peak);
    total = blockReduce<Sum>(total, C(0), scratch);
    const C scale = logarithm ? log(total) : C(1) / total;
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
      const C moved = widen(from[i]) - peak;
      to[i] = narrow<T>(logarithm ? moved - scale : exp(moved) * scale);
    }
  }
}

template <bool logarithm, typename T>
__global__ void softmaxGradRows(const T* y, const T* dy, T* dx, int64_t rows, int64_t size) {
  using C = Compute<T>;
  __shared__ C scratch[32];
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const int64_t start = row * size;
    C total = 0;
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x)
      total += logarithm ? widen(dy[start + i]) : widen(dy[start + i]) * widen(y[start + i]);
    total = blockReduce<Sum>(total, C(0), scratch);
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
      const C value = widen(y[start + i]), slope = widen(dy[start + i]);
      dx[start + i] = narrow<T>(logarithm ? slope - exp(value) * total : value * (slope - total));
    }
  }
}

struct Rows {
  int64_t count, size;
};

/// All operands are contiguous and equal in shape and dtype.
Rows readRows(const char* op, Specs inputs, size_t inputCount, Specs outputs) {
  expectCount(op, inputs, inputCount, outputs, 1);
  expectContiguous(op, inputs, outputs);
  for (const TensorSpec& spec : inputs)
    expect(!spec.shape.empty() && spec.shape == outputs[0].shape && spec.dtype == outputs[0].dtype, op,
           "operands of one shape, of rank 1 or more, and one dtype", inputs, outputs);
  const int64_t size = outputs[0].shape.back();
  return {size == 0 ? 0 : outputs[0].size() / size, size};
}

/// As many threads as a row has use for, in whole warps.
unsigned threadsFor(int64_t size) {
  return static_cast<unsigned>(std::clamp((size + 31) / 32 * 32, int64_t{32}, int64_t{512}));
}

template <bool logarithm, typename T>
class SoftmaxKernel : public Kernel {
 public:
  explicit SoftmaxKernel(Rows rows) : rows_(rows) {}
  void run(const RunOperands& operands) override {
    launch(logarithm ? "logSoftmax" : "softmax", softmaxRows<logarithm, T>, gridFor(rows_.count, 1),
           threadsFor(rows_.size), 0, static_cast<const T*>(operands.inputs[0]), static_cast<T*>(operands.outputs[0]),
           rows_.count, rows_.size);
  }

 private:
  const Rows rows_;
};

template <bool logarithm, typename T>
class SoftmaxGradKernel : public Kernel {
 public:
  explicit SoftmaxGradKernel(Rows rows) : rows_(rows) {}
  void run(const RunOperands& operands) override {
    launch(logarithm ? "logSoftmaxGrad" : "softmaxGrad", softmaxGradRows<logarithm, T>, gridFor(rows_.count, 1),
           threadsFor(rows_.size), 0, static_cast<const T*>(operands.inputs[0]),
           static_cast<const T*>(operands.inputs[1]), static_cast<T*>(operands.outputs[0]), rows_.count, rows_.size);
  }

 private:
  const Rows rows_;
};

template <bool logarithm>
std::unique_ptr<Kernel> makeForward(WordReader&, Specs inputs, Specs outputs) {
  const char* op = logarithm ? "logSoftmax" : "softmax";
  const Rows rows = readRows(op, inputs, 1, outputs);
  return dispatchFloat(op, inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<SoftmaxKernel<logarithm, typename decltype(tag)::type>>(rows);
  });
}

template <bool logarithm>
std::unique_ptr<Kernel> makeGrad(WordReader&, Specs inputs, Specs outputs) {
  const char* op = logarithm ? "logSoftmaxGrad" : "softmaxGrad";
  const Rows rows = readRows(op, inputs, 2, outputs);
  return dispatchFloat(op, inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<SoftmaxGradKernel<logarithm, typename decltype(tag)::type>>(rows);
  });
}

}  // namespace

void registerSoftmax(KernelTable& table) {
  table.add(OpId::softmax, makeForward<false>);
  table.add(OpId::softmaxGrad, makeGrad<false>);
  table.add(OpId::logSoftmax, makeForward<true>);
  table.add(OpId::logSoftmaxGrad, makeGrad<true>);
}

}  // namespace heddle::cuda
