// A matmul problem in its simplest form, and the implementations that may solve it.
#pragma once

#include <memory>
#include <string>

#include "../core/kernel.h"
#include "activation.h"

namespace heddle {

/// One side as matrices of row and column strides, over the batch axes of the problem.
struct MatrixOperand {
  std::vector<int64_t> batchStrides;
  int64_t rowStride;
  int64_t columnStride;
};

/// out[batch..., m, n] = sum over k of a[batch..., m, k] * b[batch..., k, n]; out is contiguous. Every operand has a
/// stride (0 where it repeats) for each of the `batch` extents.
struct MatmulProblem {
  DType dtype;
  std::vector<int64_t> batch;
  int64_t m;
  int64_t n;
  int64_t k;
  MatrixOperand a;
  MatrixOperand b;
  bool hasBias;
  Activation activation;

  int64_t batchSize() const;
  /// The element offsets of each batch index's matrices in an operand.
  std::vector<int64_t> offsets(const MatrixOperand& operand) const;
  std::string key() const;
};

/// Reads a problem from specs; merges batch axes, into m where b has none.
MatmulProblem readMatmul(const MatmulParams& params, Specs inputs, Specs outputs);

/// oneDNN's primitive on the operands' own strides; nullptr where oneDNN has no fast one for the problem.
std::unique_ptr<Kernel> makeMatmulPrimitive(const MatmulProblem& problem);
/// The same, with b reordered at each run to the layout oneDNN likes best; nullptr where that is b's own.
std::unique_ptr<Kernel> makeMatmulReordered(const MatmulProblem& problem);
/// f32: dnnl_sgemm for each matrix, or one matrix per thread where there are many small ones.
std::unique_ptr<Kernel> makeMatmulGemm(const MatmulProblem& problem);
/// f64 and integers: blocked loops.
std::unique_ptr<Kernel> makeMatmulBlocked(const MatmulProblem& problem);
/// bf16 and f16 in f32: converts the operands to workspace and rounds the result.
std::unique_ptr<Kernel> makeMatmulConverted(const MatmulProblem& problem);
/// The fastest f32 kernel for the problem, measured once per process.
std::unique_ptr<Kernel> makeMatmulFastest(const MatmulProblem& problem);

}  // namespace heddle
