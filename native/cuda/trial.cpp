// Times the kernels of one problem in turns, as graphs between events of the stream, and remembers the winner by name.
#include "trial.h"

#include <algorithm>
#include <cstdlib>

#include "../core/check.h"
#include "code_store.h"
#include "context.h"
#include "graph.h"
#include "random_fill.h"

namespace heddle::cuda {

namespace {

// A comparison stays near 20 ms; where one round takes longer there is one.
constexpr double kMillisecondsPerComparison = 20;
constexpr int kMostRounds = 9;
// Short kernels are run several times between two events, for the events themselves take some microseconds.
constexpr double kMillisecondsPerRecording = 0.1;
constexpr int kMostPerRecording = 20;

bool variableIsOne(const char* name) {
  const char* value = std::getenv(name);
  return value && std::string(value) == "1";
}

/// Device memory for as long as a comparison lasts, outside the pool: nothing of it is kept.
class TrialMemory {
 public:
  explicit TrialMemory(size_t bytes) {
    if (cudaMalloc(&data_, bytes) == cudaSuccess) return;
    cudaGetLastError();  // else the next call would report it again
    data_ = nullptr;
  }
  ~TrialMemory() {
    if (data_) cudaFree(data_);
  }
  TrialMemory(const TrialMemory&) = delete;
  TrialMemory& operator=(const TrialMemory&) = delete;

  char* data() const { return static_cast<char*>(data_); }

 private:
  void* data_ = nullptr;
};

class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, 0), "making an event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record() { check(cudaEventRecord(event_, Context::current().stream), "recording an event"); }
  double millisecondsSince(const Event& start) const {
    check(cudaEventSynchronize(event_), "waiting for a trial");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start.event_, event_), "reading the time of a trial");
    return milliseconds;
  }

 private:
  cudaEvent_t event_;
};

/// Several runs of a kernel as one graph: what is timed is the device's work, as in the replays of a plan, and not how
/// fast the host queues it. Throws Error unsupported where the kernel does something that no graph can hold.
std::unique_ptr<Recording> record(Kernel& kernel, const RunOperands& operands, int times) {
  Context& context = Context::current();
  beginCapture(context);
  std::string refusal;
  try {
    for (int i = 0; i < times; i++) kernel.run(operands);
  } catch (const Error& refused) {
    refusal = refused.what();
  }
  std::unique_ptr<Recording> recording = endCapture(context);
  if (!refusal.empty()) throw Error(ErrorCode::unsupported, refusal);
  return recording;
}

struct Runner {
  const TrialCandidate* candidate;
  std::unique_ptr<Kernel> kernel;
  int times = 0;  // in a recording; 0 where the kernel turned the operands down
  std::unique_ptr<Recording> recording = nullptr;
  std::vector<double> milliseconds = {};  // of one run
};

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

size_t alignUp(size_t bytes) { return (bytes + 255) / 256 * 256; }

size_t bytesOf(const TrialOperand& operand) {
  return alignUp(operand.elements * static_cast<size_t>(heddle::bytesOf(operand.dtype)));
}

/// The first run, which loads code and warms up, decides how many make a recording. Gives its milliseconds.
double prepare(Runner& runner, const RunOperands& operands, Event& start, Event& end) {
  try {
    start.record();
    runner.kernel->run(operands);
    end.record();
    const double milliseconds = end.millisecondsSince(start);
    const double times = kMillisecondsPerRecording / std::max(milliseconds, 1e-6);
    runner.times = static_cast<int>(std::clamp(times, 1.0, static_cast<double>(kMostPerRecording)));
    runner.recording = record(*runner.kernel, operands, runner.times);
    runner.milliseconds.push_back(milliseconds);
    return milliseconds;
  } catch (const Error& refused) {
    if (refused.code == ErrorCode::deviceLost) throw;
    runner.times = 0;
    return 0;
  }
}

/// The name of the fastest; empty where the memory to run in cannot be had or none runs.
std::string compare(std::vector<Runner>& runners, const std::vector<TrialOperand>& inputs,
                    const std::vector<TrialOperand>& outputs) {
  size_t bytes = 0, workspace = 0;
  for (const auto* operands : {&inputs, &outputs})
    for (const TrialOperand& operand : *operands) bytes += bytesOf(operand);
  for (const Runner& runner : runners) workspace = std::max(workspace, runner.kernel->workspaceBytes());
  const TrialMemory memory(std::max(bytes + workspace, size_t{256}));
  if (!memory.data()) return "";
  char* next = memory.data();
  std::vector<const void*> inputPointers;
  std::vector<void*> outputPointers;
  for (const TrialOperand& operand : inputs) {
    fillRandom(operand.dtype, next, operand.elements);
    inputPointers.push_back(next);
    next += bytesOf(operand);
  }
  for (const TrialOperand& operand : outputs) {
    outputPointers.push_back(next);
    next += bytesOf(operand);
  }
  const RunOperands operands{inputPointers, outputPointers, next};
  Event start, end;
  double spent = 0;
  for (Runner& runner : runners) spent += prepare(runner, operands, start, end);
  // In turns, so that a disturbance meets all of them, and by the median, so that one of it decides nothing. What the
  // first run took counts only where it has used up all the time there is.
  for (int round = 0; round < kMostRounds && spent < kMillisecondsPerComparison; round++)
    for (Runner& runner : runners) {
      if (runner.times == 0) continue;
      start.record();
      runner.recording->replay();
      end.record();
      const double milliseconds = end.millisecondsSince(start);
      spent += milliseconds;
      if (round == 0) runner.milliseconds.clear();
      runner.milliseconds.push_back(milliseconds / runner.times);
    }
  check(cudaStreamSynchronize(Context::current().stream), "waiting for a trial");
  const Runner* fastest = nullptr;
  double least = 0;
  for (Runner& runner : runners) {
    if (runner.times == 0) continue;
    const double typical = median(runner.milliseconds);
    if (fastest && typical >= least) continue;
    fastest = &runner;
    least = typical;
  }
  return fastest ? fastest->candidate->name : "";
}

std::unique_ptr<Kernel> makeNamed(const std::string& name, const std::vector<TrialCandidate>& candidates) {
  for (const TrialCandidate& candidate : candidates)
    if (candidate.name == name) return candidate.make();
  return nullptr;
}

std::unique_ptr<Kernel> makeFirst(const std::vector<TrialCandidate>& candidates) {
  for (const TrialCandidate& candidate : candidates)
    if (auto kernel = candidate.make()) return kernel;
  return nullptr;
}

}  // namespace

bool tensorFloat32Allowed() { return variableIsOne("HEDDLE_TF32"); }

Choices& trialChoices() {
  static Choices& choices = *new Choices;
  return choices;
}

std::unique_ptr<Kernel> makeFastest(const std::string& problem, const std::vector<TrialCandidate>& candidates,
                                    const std::vector<TrialOperand>& inputs, const std::vector<TrialOperand>& outputs) {
  if (timingForbidden() || candidates.size() == 1) return makeFirst(candidates);
  const Context& context = Context::current();
  const std::string key = "algorithm\n" + context.name + " sm_" + std::to_string(context.major) +
                          std::to_string(context.minor) + " " + std::to_string(context.multiprocessors) + "\n" +
                          problem;
  if (auto kernel = makeNamed(trialChoices().find(key), candidates)) return kernel;
  if (const auto kept = CodeStore::ofUser().find(key))
    if (auto kernel = makeNamed(*kept, candidates)) {
      trialChoices().keep(key, *kept);
      return kernel;
    }
  std::vector<Runner> runners;
  for (const TrialCandidate& candidate : candidates)
    if (auto kernel = candidate.make()) runners.push_back({&candidate, std::move(kernel)});
  if (runners.empty()) return nullptr;
  size_t chosen = 0;
  if (runners.size() > 1) {
    const std::string name = compare(runners, inputs, outputs);
    while (chosen < runners.size() && !name.empty() && runners[chosen].candidate->name != name) chosen++;
    if (!name.empty()) {
      trialChoices().keep(key, name);
      CodeStore::ofUser().put(key, name);
    }
  }
  return std::move(runners[chosen].kernel);
}

}  // namespace heddle::cuda
