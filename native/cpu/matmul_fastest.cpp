// Chooses among the f32 matmul kernels by timing them.
#include "matmul.h"
#include "trial.h"

namespace heddle {
namespace {

// Preparing another candidate and its memory costs more than it can win below this many multiplications.
constexpr double kLeastWork = 32768;

bool runsBackwards(const MatmulProblem& problem) {
  for (const MatrixOperand* operand : {&problem.a, &problem.b})
    for (int64_t stride : operand->batchStrides)
      if (stride < 0) return true;
  return false;
}

}  // namespace

std::unique_ptr<Kernel> makeMatmulFastest(const MatmulProblem& problem) {
  if (problem.work() < kLeastWork || runsBackwards(problem)) {
    if (auto kernel = makeMatmulPrimitive(problem)) return kernel;
    return makeMatmulGemm(problem);
  }
  const size_t bias = static_cast<size_t>(problem.n);
  return makeFastest("matmul" + problem.key(),
                     {{"primitive", [&] { return makeMatmulPrimitive(problem); }},
                      {"gemm", [&] { return makeMatmulGemm(problem); }},
                      {"reordered", [&] { return makeMatmulReordered(problem); }},
                      {"packed", [&] { return makeMatmulPacked(problem); }}},
                     {{DType::f32, problem.span(problem.a, problem.m, problem.k)},
                      {DType::f32, problem.span(problem.b, problem.k, problem.n)},
                      {DType::f32, bias}},
                     {{DType::f32, static_cast<size_t>(problem.batchSize() * problem.m * problem.n)}});
}

}  // namespace heddle
