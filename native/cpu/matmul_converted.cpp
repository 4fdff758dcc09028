// Matmul of bf16 and f16 where the processor has no instructions for them: in f32, rounded at the end.
#include <algorithm>

#include "../core/element.h"
#include "matmul.h"
#include "onednn.h"

namespace heddle {
namespace {

template <typename T>
class MatmulConverted : public Kernel {
 public:
  explicit MatmulConverted(const MatmulProblem& problem) : problem_(problem) {
    wide_ = problem;
    wide_.dtype = DType::f32;
    offsetsA_ = problem.offsets(problem.a);
    offsetsB_ = problem.offsets(problem.b);
    countA_ = pack(wide_.a, problem.m, problem.k);
    countB_ = pack(wide_.b, problem.k, problem.n);
    wideOffsetsA_ = wide_.offsets(wide_.a);
    wideOffsetsB_ = wide_.offsets(wide_.b);
    countOut_ = problem.batchSize() * problem.m * problem.n;
    kernel_ = problem.k == 0 ? makeMatmulBlocked(wide_) : makeMatmulFastest(wide_);
  }

  size_t workspaceBytes() const override {
    return bytes(countA_) + bytes(countB_) + bytes(countOut_) + bytes(problem_.n) + kernel_->workspaceBytes();
  }

  void run(const RunOperands& operands) override {
    char* next = static_cast<char*>(operands.workspace);
    const auto take = [&](int64_t count) {
      float* part = reinterpret_cast<float*>(next);
      next += bytes(count);
      return part;
    };
    float* a = take(countA_);
    float* b = take(countB_);
    float* out = take(countOut_);
    float* bias = take(problem_.n);
    widen(static_cast<const T*>(operands.inputs[0]), problem_.a, offsetsA_, a, wideOffsetsA_, wide_.a, problem_.m,
          problem_.k);
    widen(static_cast<const T*>(operands.inputs[1]), problem_.b, offsetsB_, b, wideOffsetsB_, wide_.b, problem_.k,
          problem_.n);
    if (problem_.hasBias)
      for (int64_t j = 0; j < problem_.n; j++) bias[j] = load(static_cast<const T*>(operands.inputs[2])[j]);
    const void* inputs[] = {a, b, bias};
    void* outputs[] = {out};
    kernel_->run({inputs, outputs, next});
    auto* result = static_cast<T*>(operands.outputs[0]);
#pragma omp parallel for schedule(static) if (countOut_ > 16384)
    for (int64_t i = 0; i < countOut_; i++) result[i] = store<T>(out[i]);
  }

 private:
  static size_t bytes(int64_t count) { return onednn::alignUp(static_cast<size_t>(count) * sizeof(float)); }

  /// Gives the f32 copy dense strides in the operand's own order; axes that repeat still do. Returns its elements.
  int64_t pack(MatrixOperand& operand, int64_t rows, int64_t columns) const {
    if (operand.columnStride == 1 || columns == 1) {
      operand.rowStride = std::max<int64_t>(columns, 1);
      operand.columnStride = 1;
    } else {
      operand.columnStride = std::max<int64_t>(rows, 1);
      operand.rowStride = 1;
    }
    int64_t count = rows * columns;
    for (size_t axis = problem_.batch.size(); axis-- > 0;) {
      if (operand.batchStrides[axis] == 0) continue;
      operand.batchStrides[axis] = count;
      count *= problem_.batch[axis];
    }
    return count;
  }

  void widen(const T* from, const MatrixOperand& source, const std::vector<int64_t>& sourceOffsets, float* to,
             const std::vector<int64_t>& targetOffsets, const MatrixOperand& target, int64_t rows,
             int64_t columns) const {
    int64_t written = -1;
    for (size_t batch = 0; batch < sourceOffsets.size(); batch++) {
      if (targetOffsets[batch] <= written) continue;
      written = targetOffsets[batch];
      const T* matrix = from + sourceOffsets[batch];
      float* copy = to + targetOffsets[batch];
#pragma omp parallel for schedule(static) if (rows * columns > 16384)
      for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
          copy[i * target.rowStride + j * target.columnStride] =
              load(matrix[i * source.rowStride + j * source.columnStride]);
    }
  }

  MatmulProblem problem_, wide_;
  std::vector<int64_t> offsetsA_, offsetsB_, wideOffsetsA_, wideOffsetsB_;
  int64_t countA_, countB_, countOut_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace

std::unique_ptr<Kernel> makeMatmulConverted(const MatmulProblem& problem) {
  if (problem.dtype == DType::bf16) return std::make_unique<MatmulConverted<BFloat16>>(problem);
  return std::make_unique<MatmulConverted<Float16>>(problem);
}

}  // namespace heddle
