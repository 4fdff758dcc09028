// The executor under random traffic: whatever overtakes and goes beside what, each job sees what the order of the calls
// says; lanes have one run at a time, and no run of the whole team goes beside them.
#include "../../core/executor.h"

#include <array>
#include <condition_variable>
#include <random>

#include "../../core/pool.h"
#include "core_test.h"

namespace heddle::test {
namespace {

constexpr int kLanes = 3;
constexpr size_t kBuffers = 6;

class PlainBackend : public HostBackend {
 public:
  DeviceDescription describe() const override { return {"plain", "plain", "none", 1, size_t{1} << 20}; }
  const KernelTable& kernels() const override { return kernels_; }
  Choices& choices() override { return choices_; }
  void* allocate(size_t bytes) noexcept override { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
  void free(void* memory, size_t) noexcept override { std::free(memory); }
  void setThreads(int) override {}

 private:
  KernelTable kernels_;
  Choices choices_;
};

class Counter : public Client {
 public:
  void settle(uint64_t, FailurePointer failure) noexcept override {
    const std::lock_guard lock(mutex_);
    pending_--;
    failed_ += failure != nullptr;
    changed_.notify_all();
  }
  void issue(int most) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return pending_ < most; });
    pending_++;
  }
  int wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return pending_ == 0; });
    return failed_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int pending_ = 0, failed_ = 0;
};

/// What goes wrong, counted by whoever sees it.
struct Faults {
  std::atomic<int> order{0}, lane{0}, team{0};
};

/// Runs under way, by lane; of the whole team in lane 0.
using Lanes = std::array<std::atomic<int>, kLanes + 1>;

struct Operand {
  BufferUse use;
  bool writes;
  uint64_t expected;  // of what is read
};

class TrafficJob : public Job {
 public:
  TrafficJob(std::shared_ptr<Client> client, uint64_t ticket, Executor& executor, std::vector<Operand> operands,
             bool high, bool isRun, Lane lane, Lanes& lanes, Faults& faults)
      : Job(std::move(client), ticket),
        executor_(executor),
        operands_(std::move(operands)),
        high_(high),
        isRun_(isRun),
        lane_(lane),
        lanes_(lanes),
        faults_(faults) {}

  FailurePointer start() override {
    const bool placed = lane() != nullptr;
    const auto index = static_cast<size_t>(lane_.index);
    if (placed && lanes_[index].fetch_add(1) != 0) faults_.lane++;
    for (int step = 0; step < 3; step++) {
      // As a run of normal priority does between its steps.
      if (!high_) executor_.interrupt();
      // Long enough for others to come in between.
      if (isRun_) std::this_thread::sleep_for(std::chrono::microseconds(1));
      for (int busy = 0; placed && busy <= kLanes; busy++)
        if ((index == 0) != (busy == 0) && lanes_[static_cast<size_t>(busy)] != 0) faults_.team++;
      for (const Operand& operand : operands_)
        if (!operand.writes && *static_cast<uint64_t*>(operand.use->data) != operand.expected) faults_.order++;
    }
    for (const Operand& operand : operands_)
      if (operand.writes) *static_cast<uint64_t*>(operand.use->data) = ticket;
    if (placed) lanes_[index]--;
    return nullptr;
  }

  bool mayOvertake() const override { return high_; }
  const Lane* lane() const override { return high_ && isRun_ ? &lane_ : nullptr; }
  void eachAccess(const std::function<void(const Access&)>& visit) const override {
    for (const Operand& operand : operands_) visit({*operand.use, operand.writes});
  }
  std::string name() const override { return "traffic"; }

 private:
  Executor& executor_;
  std::vector<Operand> operands_;
  const bool high_, isRun_;
  const Lane lane_;
  Lanes& lanes_;
  Faults& faults_;
};

}  // namespace

void testExecutor() {
  PlainBackend backend;
  const auto pool = std::make_shared<Pool>(backend, size_t{1} << 20);
  const auto client = std::make_shared<Counter>();
  Executor executor(backend);
  Lanes lanes{};
  Faults faults;
  std::vector<BufferPointer> buffers;
  std::array<uint64_t, kBuffers> contents{};
  for (size_t i = 0; i < kBuffers; i++) {
    buffers.push_back(pool->allocate(sizeof(uint64_t), "traffic"));
    *static_cast<uint64_t*>(buffers[i]->data) = 0;
  }
  std::mt19937 random(1);
  const auto below = [&](int limit) { return static_cast<int>(random() % static_cast<uint32_t>(limit)); };
  int tasks = 0, done = 0;
  for (uint64_t ticket = 1; ticket <= 8000; ticket++) {
    std::vector<Operand> operands;
    for (size_t i = 0; i < kBuffers; i++)
      if (below(3) == 0) operands.push_back({BufferUse(buffers[i]), below(4) == 0, contents[i]});
    for (size_t i = 0; i < kBuffers; i++)
      for (const Operand& operand : operands)
        if (operand.use->data == buffers[i]->data && operand.writes) contents[i] = ticket;
    const bool high = below(4) != 0, isRun = below(3) != 0;
    const int index = below(kLanes + 1);
    client->issue(1 + below(12));
    executor.enqueue(std::make_unique<TrafficJob>(client, ticket, executor, std::move(operands), high, isRun,
                                                  index == 0 ? Lane{} : Lane{index, kLanes}, lanes, faults));
    if (below(100) == 0) {
      tasks++;
      executor.runNext([&] { done++; });
    }
  }
  expect(client->wait() == 0, "no job of random traffic fails");
  expect(faults.order == 0, "each job sees what the order of the calls says");
  expect(faults.lane == 0, "a lane has one run at a time");
  expect(faults.team == 0, "no run of the whole team goes beside runs in lanes");
  expect(tasks > 0 && done == tasks, "tasks are done once");
  expect(executor.queued() == 0, "nothing stays queued");
  executor.cancel(client);
  executor.stop();
}

}  // namespace heddle::test
