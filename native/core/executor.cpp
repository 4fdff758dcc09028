// The queue, its thread, and how work ends when its client goes.
#include "executor.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <future>

namespace heddle {

namespace {

// Below the event loop, whose thread must stay responsive while every core computes. On Linux a thread hands its
// niceness, policy and slice to the threads it makes, so OpenMP's team inherits them. A batch thread that wakes takes
// the core from nobody: without that, the call that queues a run was now and then put aside for a slice of the team it
// woke. And where the system knows slices of a thread's own (Linux 6.12), a thread that wakes may interrupt one of a
// longer slice at once; otherwise the event loop may wait for the rest of one.
constexpr int kNiceness = 10;
constexpr uint64_t kSliceNanoseconds = 100'000'000;

/// What sched_setattr takes; the C library has no declaration of it.
struct SchedulingAttributes {
  uint32_t size = sizeof(SchedulingAttributes);
  uint32_t policy = SCHED_BATCH;
  uint64_t flags = 0;
  int32_t nice = kNiceness;
  uint32_t priority = 0;
  uint64_t runtime = kSliceNanoseconds, deadline = 0, period = 0;
};

/// What a job threw other than by its own rules: of the device as a whole, or a defect.
FailurePointer failureOf(const std::exception& error, uint64_t ticket) {
  const auto* known = dynamic_cast<const Error*>(&error);
  return std::make_shared<const Failure>(
      Failure{known ? known->code : ErrorCode::internal, error.what(), ticket, -1, false});
}

/// Adds to what the normal queue says of the buffers that the job uses.
void countAccesses(const Job& job, int change) {
  job.eachAccess([&](const Access& access) {
    auto& normal = access.buffer.normal;
    (access.writes ? normal.writing : normal.reading) += change;
  });
}

/// Moves the client's jobs from `queue` to `dropped`.
void drop(std::deque<std::unique_ptr<Job>>& queue, const std::shared_ptr<Client>& client,
          std::deque<std::unique_ptr<Job>>& dropped) {
  std::deque<std::unique_ptr<Job>> kept;
  for (auto& job : queue) (job->client == client ? dropped : kept).push_back(std::move(job));
  queue.swap(kept);
}

/// Where a system does not know the first call (gVisor) the second one does most of it. What is refused is left as it
/// is: the thread computes all the same.
void stepBack() {
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0)
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
}

}  // namespace

void Executor::start() {
  if (thread_.joinable()) {
    if (process_ == getpid()) return;
    throw Error(ErrorCode::unsupported,
                "the device was in use before this process was forked, and its thread did not survive that: use "
                "worker_threads, or start a fresh process with child_process");
  }
  stopping_ = false;
  startedAll_ = false;
  process_ = getpid();
  try {
    thread_ = std::thread([this] { loop(); });
    if (backend_.asynchronous()) finisher_ = std::thread([this] { finishLoop(); });
  } catch (const std::system_error& error) {
    throw Error(ErrorCode::internal, std::string("the device's thread could not be started: ") + error.what());
  }
}

void Executor::enqueue(std::unique_ptr<Job> job) {
  const std::lock_guard lock(mutex_);
  start();
  if (job->mayOvertake() && overtakes(*job)) {
    overtaking_.push_back(std::move(job));
    overtakingCount_++;
  } else {
    countAccesses(*job, 1);
    jobs_.push_back(std::move(job));
  }
  arrived_.notify_one();
}

/// Whether no job in the normal queue, nor one begun from there, makes a difference to it, nor it to them.
bool Executor::overtakes(const Job& job) const {
  bool free = true;
  job.eachAccess([&](const Access& access) {
    const auto& normal = access.buffer.normal;
    if (normal.writing > 0 || (access.writes && normal.reading > 0)) free = false;
  });
  return free;
}

void Executor::interrupt() {
  if (overtakingCount_.load(std::memory_order_relaxed) == 0) return;
  std::unique_lock lock(mutex_);
  // Kernels are prepared by tasks, which come before what is queued but not within a run: what waits for them waits on.
  while (tasks_.empty() && !overtaking_.empty() && !stopping_) runFirst(lock, true);
}

void Executor::runNext(const std::function<void()>& task) {
  std::packaged_task<void()> packaged(task);
  std::future<void> done = packaged.get_future();
  {
    const std::lock_guard lock(mutex_);
    start();
    tasks_.push_back({nullptr, [&packaged] { packaged(); }});
    arrived_.notify_one();
  }
  done.get();
}

void Executor::startNext(const std::shared_ptr<Client>& client, std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  start();
  tasks_.push_back({client, std::move(task)});
  arrived_.notify_one();
}

void Executor::cancel(const std::shared_ptr<Client>& client) {
  std::deque<std::unique_ptr<Job>> dropped;
  std::deque<Task> droppedTasks, keptTasks;
  std::unique_lock lock(mutex_);
  client->cancelled = true;
  for (Task& task : tasks_) (task.client == client ? droppedTasks : keptTasks).push_back(std::move(task));
  tasks_.swap(keptTasks);
  drop(jobs_, client, dropped);
  for (const auto& job : dropped) countAccesses(*job, -1);
  drop(overtaking_, client, dropped);
  overtakingCount_ = overtaking_.size();
  finished_.wait(lock, [&] { return startTouches_ != client.get() && finishTouches_ != client.get(); });
}

void Executor::stop() {
  std::thread thread, finisher;
  std::deque<std::unique_ptr<Job>> dropped, droppedOvertaking;
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() || process_ != getpid()) return;
    stopping_ = true;
    dropped.swap(jobs_);
    for (const auto& job : dropped) countAccesses(*job, -1);
    droppedOvertaking.swap(overtaking_);
    overtakingCount_ = 0;
    thread.swap(thread_);
    finisher.swap(finisher_);
    arrived_.notify_one();
  }
  thread.join();
  if (finisher.joinable()) finisher.join();
}

size_t Executor::queued() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size() + overtaking_.size() + running_;
}

void Executor::loop() {
  stepBack();
  backend_.enterThread();
  backend_.setThreads(backend_.describe().threads);
  std::unique_lock lock(mutex_);
  for (;;) {
    arrived_.wait(lock, [&] { return stopping_ || !tasks_.empty() || !overtaking_.empty() || !jobs_.empty(); });
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task.run();
      // It may hold the last reference to a plan.
      task = {};
      lock.lock();
    } else if (!overtaking_.empty() || !jobs_.empty()) {
      runFirst(lock, !overtaking_.empty());
    } else {
      startedAll_ = true;
      started_.notify_one();
      return;
    }
  }
}

/// Starts the first job of a queue, and on a synchronous device finishes it. Others may overtake it meanwhile.
void Executor::runFirst(std::unique_lock<std::mutex>& lock, bool overtaking) {
  auto& queue = overtaking ? overtaking_ : jobs_;
  Started started{std::move(queue.front()), nullptr, nullptr, overtaking, 0};
  queue.pop_front();
  if (overtaking) overtakingCount_--;
  running_++;
  startTouches_ = started.job->touchesClient() ? started.job->client.get() : nullptr;
  lock.unlock();
  if (backend_.profile.on()) started.since = monotonicMicroseconds();
  try {
    started.failure = started.job->start();
    if (backend_.asynchronous()) started.fence = backend_.fence();
  } catch (const std::exception& error) {
    started.failure =
        std::make_shared<const Failure>(Failure{ErrorCode::internal, error.what(), started.job->ticket, -1, false});
  }
  lock.lock();
  startTouches_ = nullptr;
  finished_.notify_all();
  if (backend_.asynchronous()) {
    finishing_.push_back(std::move(started));
    started_.notify_one();
  } else {
    lock.unlock();
    finish(std::move(started));
    lock.lock();
  }
}

void Executor::finishLoop() {
  stepBack();
  backend_.enterThread();
  std::unique_lock lock(mutex_);
  for (;;) {
    started_.wait(lock, [&] { return startedAll_ || !finishing_.empty(); });
    if (finishing_.empty()) return;
    Started started = std::move(finishing_.front());
    finishing_.pop_front();
    lock.unlock();
    finish(std::move(started));
    lock.lock();
  }
}

void Executor::finish(Started started) {
  Job& job = *started.job;
  std::unique_ptr<StepError> found;
  try {
    if (started.fence) started.fence->wait();
  } catch (const StepError& thrown) {
    found = std::make_unique<StepError>(thrown);
  }
  const std::shared_ptr<Client> client = job.client;
  const uint64_t ticket = job.ticket;
  bool gone = false;
  if (job.touchesClient()) {
    // Either the client is found gone here, or who ends it waits until the job is done with its memory.
    const std::lock_guard lock(mutex_);
    gone = client->cancelled;
    if (!gone) finishTouches_ = client.get();
  }
  try {
    if (!started.failure && !gone) started.failure = job.finish(found.get());
  } catch (const std::exception& error) {
    started.failure = failureOf(error, ticket);
  }
  if (started.since > 0)
    backend_.profile.add({job.name(), false, started.overtaking, started.since, monotonicMicroseconds()});
  if (!started.overtaking) {
    const std::lock_guard lock(mutex_);
    countAccesses(job, -1);
  }
  // Buffers are released first: who hears of the job may find them idle.
  started.fence.reset();
  started.job.reset();
  {
    const std::lock_guard lock(mutex_);
    finishTouches_ = nullptr;
    running_--;
  }
  finished_.notify_all();
  if (!client->cancelled) client->settle(ticket, std::move(started.failure));
}

}  // namespace heddle
