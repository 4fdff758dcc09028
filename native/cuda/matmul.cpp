// Op matmul: chooses between cuBLASLt's algorithms and a kernel of our own.
#include "matmul.h"

#include "cublaslt.h"
#include "kernels.h"

namespace heddle::cuda {
namespace {

// Up to this many multiplications any kernel takes little longer than its launch, and asking costs more than it can
// win.
constexpr double kLeastWork = 1 << 12;
// Up to this many our kernel may win: cuBLASLt's tiles are larger than such problems.
constexpr double kMostGeneralWork = 1 << 20;

class EmptyMatmul : public Kernel {
 public:
  void run(const RunOperands&) override {}
};

std::unique_ptr<Kernel> makeMatmul(WordReader& words, Specs inputs, Specs outputs) {
  const MatmulParams params = MatmulParams::read(words);
  const MatmulProblem problem = readMatmul(params, inputs, outputs);
  if (outputs[0].size() == 0) return std::make_unique<EmptyMatmul>();
  if (!isFloat(problem.dtype) || problem.work() <= kLeastWork) return makeMatmulGeneral(problem);
  std::vector<TrialCandidate> candidates = matmulAlgorithms(problem);
  if (candidates.empty()) return makeMatmulGeneral(problem);
  if (problem.work() <= kMostGeneralWork) candidates.push_back({"general", [&] { return makeMatmulGeneral(problem); }});
  const std::string key = "matmul " + problem.key() + (tensorFloat32Allowed() ? " tf32 " : " ") + lt::version();
  return makeFastest(key, candidates,
                     {{problem.dtype, problem.span(problem.a, problem.m, problem.k)},
                      {problem.dtype, problem.span(problem.b, problem.k, problem.n)},
                      {problem.dtype, static_cast<size_t>(problem.n)}},
                     {{problem.dtype, static_cast<size_t>(outputs[0].size())}});
}

}  // namespace

void registerMatmul(KernelTable& table) { table.add(OpId::matmul, makeMatmul); }

}  // namespace heddle::cuda
