// Times the kernels of one problem and remembers the winner.
#include "trial.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

#include "../core/element.h"

namespace heddle {
namespace {

// A comparison stays near 20 ms; where one round takes longer there is one.
constexpr double kSecondsPerComparison = 0.018;
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

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// A candidate with its scratch memory and the seconds of its runs.
struct Candidate {
  size_t position;
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

size_t compare(const std::vector<TrialFactory>& factories, const std::vector<TrialOperand>& inputs,
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
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < factories.size(); i++) {
    auto kernel = factories[i]();
    if (!kernel) continue;
    const size_t workspaceBytes = kernel->workspaceBytes();
    candidates.push_back({i, std::move(kernel), TrialMemory(workspaceBytes), {}});
  }
  if (candidates.size() == 1) return candidates.front().position;
  // In turns, so that a disturbance meets all of them, and by the median, so that one of it decides nothing. The first
  // round only warms up, unless it has taken all the time there is.
  double spent = 0;
  for (size_t round = 0; round <= kMostRounds && (round < 1 || spent < kSecondsPerComparison); round++)
    for (Candidate& candidate : candidates) {
      const double seconds = secondsOf(*candidate.kernel, {inputPointers, outputPointers, candidate.workspace.data()});
      if (round == 1) candidate.seconds.clear();
      candidate.seconds.push_back(seconds);
      spent += seconds;
    }
  return std::min_element(candidates.begin(), candidates.end(),
                          [](Candidate& a, Candidate& b) { return median(a.seconds) < median(b.seconds); })
      ->position;
}

}  // namespace

std::unique_ptr<Kernel> makeFastest(const std::string& key, const std::vector<TrialFactory>& factories,
                                    const std::vector<TrialOperand>& inputs, const std::vector<TrialOperand>& outputs) {
  static std::mutex mutex;
  static std::map<std::string, size_t> winners;
  const std::lock_guard<std::mutex> lock(mutex);
  auto known = winners.find(key);
  if (known == winners.end()) {
    known = winners.emplace(key, compare(factories, inputs, outputs)).first;
    releaseFreedMemory();
  }
  return factories[known->second]();
}

}  // namespace heddle
