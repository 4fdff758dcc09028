// Matmul in f32 by dnnl_sgemm, which packs both sides: best where plain rows thrash the TLB.
#include <omp.h>

#include "matmul.h"
#include "onednn.h"

namespace heddle {
namespace {

class MatmulGemm : public Kernel {
 public:
  explicit MatmulGemm(const MatmulProblem& problem)
      : problem_(problem), offsetsA_(problem.offsets(problem.a)), offsetsB_(problem.offsets(problem.b)) {
    transposedA_ = problem.a.columnStride != 1;
    transposedB_ = problem.b.columnStride != 1;
    leadingA_ = transposedA_ ? problem.a.columnStride : problem.a.rowStride;
    leadingB_ = transposedB_ ? problem.b.columnStride : problem.b.rowStride;
  }

  void run(const RunOperands& operands) override {
    const auto* a = static_cast<const float*>(operands.inputs[0]);
    const auto* b = static_cast<const float*>(operands.inputs[1]);
    auto* out = static_cast<float*>(operands.outputs[0]);
    const int64_t count = static_cast<int64_t>(offsetsA_.size());
    int failed = 0;
    // Inside a parallel region oneDNN uses the calling thread alone.
    const bool oneEach = count >= omp_get_max_threads() && count > 1;
#pragma omp parallel for schedule(static) if (oneEach) reduction(| : failed)
    for (int64_t i = 0; i < count; i++) {
      const size_t batch = static_cast<size_t>(i);
      failed |= dnnl_sgemm(transposedA_ ? 'T' : 'N', transposedB_ ? 'T' : 'N', problem_.m, problem_.n, problem_.k, 1.0f,
                           a + offsetsA_[batch], leadingA_, b + offsetsB_[batch], leadingB_, 0.0f,
                           out + i * problem_.m * problem_.n, problem_.n) != dnnl_success;
    }
    if (failed) throw Error(ErrorCode::internal, "matmul: dnnl_sgemm refused the problem " + problem_.key());
    if (problem_.hasBias || problem_.activation != Activation::none)
      biasActivation(out, problem_.hasBias ? static_cast<const float*>(operands.inputs[2]) : nullptr,
                     count * problem_.m, problem_.n, problem_.activation);
  }

 private:
  MatmulProblem problem_;
  std::vector<int64_t> offsetsA_, offsetsB_;
  bool transposedA_, transposedB_;
  int64_t leadingA_, leadingB_;
};

}  // namespace

std::unique_ptr<Kernel> makeMatmulGemm(const MatmulProblem& problem) { return std::make_unique<MatmulGemm>(problem); }

}  // namespace heddle
