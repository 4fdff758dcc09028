// Chooses among the f32 matmul kernels by timing them on random data, once per problem and process.
#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

#include "matmul.h"

namespace heddle {
namespace {

using Factory = std::unique_ptr<Kernel> (*)(const MatmulProblem&);
constexpr Factory kFactories[] = {makeMatmulPrimitive, makeMatmulGemm, makeMatmulReordered};

// The whole comparison stays near 20 ms: what one candidate may spend, and when a slow one is given up.
constexpr double kSecondsPerCandidate = 0.006;
constexpr int kMostRuns = 20;
// Preparing another candidate and its memory costs more than it can win below this many multiplications.
constexpr double kLeastWork = 32768;

/// Memory as pools give it: in huge pages where it is large, because plain pages change which kernel wins.
class TrialMemory {
 public:
  explicit TrialMemory(size_t bytes) {
    constexpr size_t huge = size_t{2} << 20;
    const size_t alignment = bytes >= huge ? huge : 64;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    data_ = std::aligned_alloc(alignment, std::max(rounded, alignment));
    if (!data_) throw Error(ErrorCode::outOfMemory, "matmul: no memory to compare kernels in");
    if (alignment == huge) madvise(data_, rounded, MADV_HUGEPAGE);
  }
  TrialMemory(const TrialMemory&) = delete;
  TrialMemory& operator=(const TrialMemory&) = delete;
  ~TrialMemory() { std::free(data_); }

  void* data() const { return data_; }

  /// Values in [-1, 1) from a linear congruential generator (Knuth's MMIX constants).
  void fill(size_t count) {
    auto* values = static_cast<float*>(data_);
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      values[i] = static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f;
    }
  }

 private:
  void* data_;
};

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

double secondsOf(Kernel& kernel, const RunOperands& operands) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30, spent = 0;
  for (int i = 0; i < kMostRuns && spent < kSecondsPerCandidate; i++) {
    const auto start = Clock::now();
    kernel.run(operands);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

size_t compare(const MatmulProblem& problem) {
  const size_t countA = spanOf(problem, problem.a, problem.m, problem.k);
  const size_t countB = spanOf(problem, problem.b, problem.k, problem.n);
  const size_t countOut = static_cast<size_t>(problem.batchSize() * problem.m * problem.n);
  TrialMemory a(countA * 4), b(countB * 4), bias(static_cast<size_t>(problem.n) * 4), out(countOut * 4);
  a.fill(countA);
  b.fill(countB);
  bias.fill(static_cast<size_t>(problem.n));
  const void* inputs[] = {a.data(), b.data(), bias.data()};
  void* outputs[] = {out.data()};
  size_t winner = 1;
  double best = 1e30;
  for (size_t i = 0; i < std::size(kFactories); i++) {
    const auto kernel = kFactories[i](problem);
    if (!kernel) continue;
    const TrialMemory workspace(kernel->workspaceBytes());
    const double seconds = secondsOf(*kernel, {inputs, outputs, workspace.data()});
    if (seconds < best) {
      best = seconds;
      winner = i;
    }
  }
  return winner;
}

}  // namespace

std::unique_ptr<Kernel> makeMatmulFastest(const MatmulProblem& problem) {
  const double work = static_cast<double>(problem.batchSize()) * static_cast<double>(problem.m) *
                      static_cast<double>(problem.n) * static_cast<double>(problem.k);
  if (work < kLeastWork || runsBackwards(problem)) {
    if (auto kernel = makeMatmulPrimitive(problem)) return kernel;
    return makeMatmulGemm(problem);
  }
  static std::mutex mutex;
  static std::map<std::string, size_t> winners;
  const std::lock_guard<std::mutex> lock(mutex);
  const std::string key = problem.key();
  auto known = winners.find(key);
  if (known == winners.end()) known = winners.emplace(key, compare(problem)).first;
  return kFactories[known->second](problem);
}

}  // namespace heddle
