// Times the kernels of one problem and remembers the winner.
#include "trial.h"

#include <malloc.h>
#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "../core/element.h"
#include "onednn.h"

namespace heddle {
namespace {

// Rounds that count take 30 ms together; where one takes longer there is one. None does where the warm-up, in which
// oneDNN makes code and memory is touched for the first time, was long: what takes that long is known from it.
constexpr double kSecondsPerComparison = 0.03, kLongSeconds = 0.1;
constexpr size_t kMostRounds = 15;

/// Memory as pools give it: in huge pages where it is large, because plain pages change which kernel wins.
class TrialMemory {
 public:
  explicit TrialMemory(size_t bytes) {
    constexpr size_t huge = size_t{2} << 20;
    const size_t alignment = bytes >= huge ? huge : 64;
    const size_t rounded = std::max((bytes + alignment - 1) / alignment * alignment, alignment);
    data_ = std::aligned_alloc(alignment, rounded);
    if (!data_)
      throw Error(ErrorCode::outOfMemory,
                  "prepare: " + std::to_string(rounded) + " bytes to compare kernels in could not be allocated");
    if (alignment == huge) madvise(data_, rounded, MADV_HUGEPAGE);
  }
  TrialMemory(const TrialMemory&) = delete;
  TrialMemory& operator=(const TrialMemory&) = delete;
  TrialMemory(TrialMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  ~TrialMemory() { std::free(data_); }

  void* data() const { return data_; }

 private:
  void* data_;
};

/// Values in [-1, 1) from a linear congruential generator (Knuth's MMIX constants).
void fill(void* data, const TrialOperand& operand) {
  dispatchFloat("prepare", operand.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    uint64_t state = 1;
    for (size_t i = 0; i < operand.elements; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      static_cast<T*>(data)[i] =
          store<T>(static_cast<Compute<T>>(static_cast<int32_t>(state >> 32)) * Compute<T>(0x1p-31));
    }
  });
}

double secondsOf(Kernel& kernel, const RunOperands& operands) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  kernel.run(operands);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Of two the shorter: what disturbs only makes it longer.
double lowerMedian(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// A candidate with its scratch memory and the seconds of its runs.
struct Runner {
  const TrialCandidate* candidate;
  std::unique_ptr<Kernel> kernel;
  TrialMemory workspace;
  std::vector<double> seconds;
};

/// Having freed large blocks once, glibc keeps later ones: megabytes of trials would stay with the process.
void releaseFreedMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

const TrialCandidate& compare(const std::vector<TrialCandidate>& candidates, const std::vector<TrialOperand>& inputs,
                              const std::vector<TrialOperand>& outputs) {
  std::vector<TrialMemory> memory;
  std::vector<const void*> inputPointers;
  std::vector<void*> outputPointers;
  for (const TrialOperand& operand : inputs) {
    memory.emplace_back(operand.elements * static_cast<size_t>(bytesOf(operand.dtype)));
    fill(memory.back().data(), operand);
    inputPointers.push_back(memory.back().data());
  }
  for (const TrialOperand& operand : outputs) {
    memory.emplace_back(operand.elements * static_cast<size_t>(bytesOf(operand.dtype)));
    outputPointers.push_back(memory.back().data());
  }
  std::vector<Runner> runners;
  for (const TrialCandidate& candidate : candidates) {
    auto kernel = candidate.make();
    if (!kernel) continue;
    const size_t workspaceBytes = kernel->workspaceBytes();
    runners.push_back({&candidate, std::move(kernel), TrialMemory(workspaceBytes), {}});
  }
  if (runners.size() == 1) return *runners.front().candidate;
  // In turns, so that a disturbance meets all of them, and by the median, so that one of it decides nothing.
  const auto runAll = [&] {
    double spent = 0;
    for (Runner& runner : runners) {
      runner.seconds.push_back(secondsOf(*runner.kernel, {inputPointers, outputPointers, runner.workspace.data()}));
      spent += runner.seconds.back();
    }
    return spent;
  };
  if (runAll() < kLongSeconds) {
    for (Runner& runner : runners) runner.seconds.clear();
    double spent = 0;
    for (size_t round = 0; round < kMostRounds && spent < kSecondsPerComparison; round++) spent += runAll();
  }
  return *std::min_element(runners.begin(), runners.end(), [](Runner& a, Runner& b) {
            return lowerMedian(a.seconds) < lowerMedian(b.seconds);
          })->candidate;
}

std::unique_ptr<Kernel> makeFirst(const std::vector<TrialCandidate>& candidates) {
  for (const TrialCandidate& candidate : candidates)
    if (auto kernel = candidate.make()) return kernel;
  return nullptr;
}

/// What decides besides the problem.
std::string processor() {
  return std::string(onednn::instructionSet()) + " " + std::to_string(omp_get_max_threads()) + " threads\n";
}

}  // namespace

Choices& trialChoices() {
  static Choices& choices = *new Choices;
  return choices;
}

std::unique_ptr<Kernel> makeFastest(const std::string& problem, const std::vector<TrialCandidate>& candidates,
                                    const std::vector<TrialOperand>& inputs, const std::vector<TrialOperand>& outputs) {
  if (timingForbidden()) return makeFirst(candidates);
  // One comparison at a time: two would disturb each other.
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  const std::string key = processor() + problem, known = trialChoices().find(key);
  for (const TrialCandidate& candidate : candidates)
    if (candidate.name == known)
      if (auto kernel = candidate.make()) return kernel;
  const TrialCandidate& fastest = compare(candidates, inputs, outputs);
  releaseFreedMemory();
  trialChoices().keep(key, fastest.name);
  return fastest.make();
}

}  // namespace heddle
