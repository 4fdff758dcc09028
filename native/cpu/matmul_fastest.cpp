// Chooses among the f32 matmul kernels by timing them.
#include "matmul.h"
#include "trial.h"

namespace heddle {
namespace {

// Preparing another candidate and its memory costs more than it can win below this many multiplications.
constexpr double kLeastWork = 32768;

/// Elements an operand spans.
size_t spanOf(const MatmulProblem& problem, const MatrixOperand& operand, int64_t rows, int64_t columns) {
  int64_t last = (rows - 1) * operand.rowStride + (columns - 1) * operand.columnStride;
  for (size_t axis = 0; axis < problem.batch.size(); axis++)
    last += (problem.batch[axis] - 1) * operand.batchStrides[axis];
  return static_cast<size_t>(last + 1);
}

bool runsBackwards(const MatmulProblem& problem) {
  for (const MatrixOperand* operand : {&problem.a, &problem.b})
    for (int64_t stride : operand->batchStrides)
      if (stride < 0) return true;
  return false;
}

}  // namespace

std::unique_ptr<Kernel> makeMatmulFastest(const MatmulProblem& problem) {
  const double work = static_cast<double>(problem.batchSize()) * static_cast<double>(problem.m) *
                      static_cast<double>(problem.n) * static_cast<double>(problem.k);
  if (work < kLeastWork || runsBackwards(problem)) {
    if (auto kernel = makeMatmulPrimitive(problem)) return kernel;
    return makeMatmulGemm(problem);
  }
  const size_t bias = static_cast<size_t>(problem.n);
  return makeFastest("matmul" + problem.key(),
                     {[&] { return makeMatmulPrimitive(problem); }, [&] { return makeMatmulGemm(problem); },
                      [&] { return makeMatmulReordered(problem); }},
                     {{DType::f32, spanOf(problem, problem.a, problem.m, problem.k)},
                      {DType::f32, spanOf(problem, problem.b, problem.k, problem.n)},
                      {DType::f32, bias}},
                     {{DType::f32, static_cast<size_t>(problem.batchSize() * problem.m * problem.n)}});
}

}  // namespace heddle
