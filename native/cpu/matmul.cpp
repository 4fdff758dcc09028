// Op matmul: chooses an implementation.
#include "matmul.h"

#include "kernels.h"

namespace heddle {
namespace {

class EmptyMatmul : public Kernel {
 public:
  void run(const RunOperands&) override {}
};

std::unique_ptr<Kernel> makeMatmul(WordReader& words, Specs inputs, Specs outputs) {
  const MatmulParams params = MatmulParams::read(words);
  const MatmulProblem problem = readMatmul(params, inputs, outputs);
  if (problem.batchSize() * problem.m * problem.n == 0) return std::make_unique<EmptyMatmul>();
  if (problem.dtype == DType::f32) return problem.k == 0 ? makeMatmulBlocked(problem) : makeMatmulFastest(problem);
  if (problem.dtype == DType::bf16 || problem.dtype == DType::f16) {
    if (problem.k > 0)
      if (auto kernel = makeMatmulPrimitive(problem)) return kernel;
    return makeMatmulConverted(problem);
  }
  if (problem.dtype == DType::f64 && problem.k > 0) return makeMatmulPacked(problem);
  return makeMatmulBlocked(problem);
}

}  // namespace

void registerMatmul(KernelTable& table) { table.add(OpId::matmul, makeMatmul); }

}  // namespace heddle
