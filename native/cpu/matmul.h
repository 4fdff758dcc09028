// The implementations that may solve a matmul problem.
#pragma once

#include <memory>

#include "../core/matmul_problem.h"
#include "activation.h"

namespace heddle {

/// oneDNN's primitive on the operands' own strides; nullptr where oneDNN has no fast one for the problem.
std::unique_ptr<Kernel> makeMatmulPrimitive(const MatmulProblem& problem);
/// The same, with b reordered at each run to the layout oneDNN likes best; nullptr where that is b's own.
std::unique_ptr<Kernel> makeMatmulReordered(const MatmulProblem& problem);
/// f32: dnnl_sgemm for each matrix, or one matrix per thread where there are many small ones.
std::unique_ptr<Kernel> makeMatmulGemm(const MatmulProblem& problem);
/// f32 and f64 where k is not 0: tiles of packed operands in registers; the same bits whatever the threads.
std::unique_ptr<Kernel> makeMatmulPacked(const MatmulProblem& problem);
/// Any dtype, also where k is 0: blocked loops.
std::unique_ptr<Kernel> makeMatmulBlocked(const MatmulProblem& problem);
/// bf16 and f16 in f32: converts the operands to workspace and rounds the result.
std::unique_ptr<Kernel> makeMatmulConverted(const MatmulProblem& problem);
/// The fastest f32 kernel for the problem, measured once per process.
std::unique_ptr<Kernel> makeMatmulFastest(const MatmulProblem& problem);

}  // namespace heddle
