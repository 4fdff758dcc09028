// The queue, its thread, and how work ends when its client goes.
#include "executor.h"

#include <unistd.h>

#include <algorithm>
#include <future>

#include "thread_priority.h"

namespace heddle {

namespace {

/// What a job threw other than by its own rules: of the device as a whole, or a defect.
FailurePointer failureOf(const std::exception& error, uint64_t ticket) {
  const auto* known = dynamic_cast<const Error*>(&error);
  return std::make_shared<const Failure>(
      Failure{known ? known->code : ErrorCode::internal, error.what(), ticket, -1, false});
}

/// Adds to what the buffers that the job uses know of jobs of that kind.
void countAccesses(const Job& job, Buffer::Users Buffer::*kind, int change) {
  job.eachAccess([&](const Access& access) {
    Buffer::Users& users = access.buffer.*kind;
    (access.writes ? users.writing : users.reading) += change;
  });
}

/// Whether none of those jobs makes a difference to it, nor it to them.
bool isFreeOf(const Job& job, Buffer::Users Buffer::*kind) {
  bool free = true;
  job.eachAccess([&](const Access& access) {
    const Buffer::Users& users = access.buffer.*kind;
    if (users.writing > 0 || (access.writes && users.reading > 0)) free = false;
  });
  return free;
}

/// Moves the client's jobs from `queue` to `dropped`.
void drop(std::deque<std::unique_ptr<Job>>& queue, const std::shared_ptr<Client>& client,
          std::deque<std::unique_ptr<Job>>& dropped) {
  std::deque<std::unique_ptr<Job>> kept;
  for (auto& job : queue) (job->client == client ? dropped : kept).push_back(std::move(job));
  queue.swap(kept);
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
  if (job->lane()) startLanes(*job->lane());
  if (job->mayOvertake() && isFreeOf(*job, &Buffer::normal)) {
    overtaking_.push_back(std::move(job));
    overtakingCount_++;
  } else {
    countAccesses(*job, &Buffer::normal, 1);
    jobs_.push_back(std::move(job));
  }
  wake();
}

/// With the executor thread, as many as there are lanes.
void Executor::startLanes(const Lane& lane) {
  const auto count = static_cast<size_t>(lane.count);
  if (backend_.asynchronous()) return;
  if (busyLanes_.size() <= count) busyLanes_.resize(count + 1);
  try {
    while (beside_.size() + 1 < count) beside_.emplace_back([this] { laneLoop(); });
  } catch (const std::system_error&) {
    // One after the other they run all the same.
  }
}

/// Whether it may begin now; `beside` the executor thread, which alone has the whole team of threads. Runs of the team
/// and runs in lanes are not under way together: they would wait for one another's cores at each of their barriers.
bool Executor::mayBegin(const Job& job, bool beside) const {
  if (const Lane* lane = job.lane()) {
    const bool ofTeam = lane->index == 0;
    if (ofTeam && (beside || std::find(busyLanes_.begin(), busyLanes_.end(), true) != busyLanes_.end())) return false;
    if (busyLanes_[0] || busyLanes_[static_cast<size_t>(lane->index)]) return false;
  }
  return isFreeOf(job, &Buffer::high);
}

/// The place of the first overtaking job that needs to wait neither for one that has begun nor for one before it;
/// behind the last where there is none. An asynchronous device keeps their order itself.
size_t Executor::firstFree(bool beside) const {
  if (backend_.asynchronous()) return 0;
  size_t place = 0;
  bool teamWaits = false;
  for (; place < overtaking_.size(); place++) {
    const Job& job = *overtaking_[place];
    if (!(teamWaits && job.lane()) && mayBegin(job, beside)) break;
    teamWaits = teamWaits || (job.lane() && job.lane()->index == 0);
    countAccesses(job, &Buffer::high, 1);
  }
  for (size_t passed = 0; passed < place; passed++) countAccesses(*overtaking_[passed], &Buffer::high, -1);
  return place;
}

/// Takes that job; nullptr where there is none.
std::unique_ptr<Job> Executor::takeOvertaking(bool beside) {
  const size_t place = firstFree(beside);
  if (place >= overtaking_.size()) return nullptr;
  std::unique_ptr<Job> taken = std::move(overtaking_[place]);
  overtaking_.erase(overtaking_.begin() + static_cast<std::ptrdiff_t>(place));
  return taken;
}

/// Whether the executor thread has something to do where it waits.
bool Executor::hasWork() const {
  if (stopping_ || !tasks_.empty() || firstFree(false) < overtaking_.size()) return true;
  return overtakingCount_ == 0 && (interrupted_ || !jobs_.empty());
}

/// Tasks prepare plans, and what has lanes waits for them.
bool Executor::mayRunBeside() const { return tasks_.empty() && !taskRuns_; }

/// Wakes a thread that waits and has something to do now. Others sleep on: each that wakes for nothing is owed its
/// share of the core, and the system has the event loop's thread wait meanwhile.
void Executor::wake() {
  if (idle_ && hasWork()) {
    idle_ = false;
    arrived_.notify_one();
  } else if (!beside_.empty() && mayRunBeside() && firstFree(true) < overtaking_.size()) {
    besideArrived_.notify_one();
  }
}

/// Until the executor thread is woken.
void Executor::idle(std::unique_lock<std::mutex>& lock) {
  idle_ = true;
  arrived_.wait(lock);
  idle_ = false;
}

void Executor::interrupt() {
  if (overtakingCount_.load(std::memory_order_relaxed) == 0) return;
  std::unique_lock lock(mutex_);
  interrupted_ = true;
  // Kernels are prepared by tasks, which come before what is queued but not within a run: what waits for them waits on.
  while (tasks_.empty() && !stopping_ && overtakingCount_ > 0)
    if (auto job = takeOvertaking(false))
      run(lock, std::move(job), true);
    else
      idle(lock);
  interrupted_ = false;
  // What goes on has no lane.
  backend_.shareThreads(1);
}

void Executor::runNext(const std::function<void()>& task) {
  std::packaged_task<void()> packaged(task);
  std::future<void> done = packaged.get_future();
  {
    const std::lock_guard lock(mutex_);
    start();
    tasks_.push_back({nullptr, [&packaged] { packaged(); }});
    wake();
  }
  done.get();
}

void Executor::startNext(const std::shared_ptr<Client>& client, std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  start();
  tasks_.push_back({client, std::move(task)});
  wake();
}

void Executor::cancel(const std::shared_ptr<Client>& client) {
  std::deque<std::unique_ptr<Job>> dropped;
  std::deque<Task> droppedTasks, keptTasks;
  std::unique_lock lock(mutex_);
  client->cancelled = true;
  for (Task& task : tasks_) (task.client == client ? droppedTasks : keptTasks).push_back(std::move(task));
  tasks_.swap(keptTasks);
  drop(jobs_, client, dropped);
  for (const auto& job : dropped) countAccesses(*job, &Buffer::normal, -1);
  const size_t before = overtaking_.size();
  drop(overtaking_, client, dropped);
  overtakingCount_ -= before - overtaking_.size();
  wake();
  finished_.wait(lock, [&] { return std::find(touched_.begin(), touched_.end(), client.get()) == touched_.end(); });
}

void Executor::stop() {
  std::thread thread, finisher;
  std::vector<std::thread> beside;
  std::deque<std::unique_ptr<Job>> dropped, droppedOvertaking;
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() || process_ != getpid()) return;
    stopping_ = true;
    dropped.swap(jobs_);
    for (const auto& job : dropped) countAccesses(*job, &Buffer::normal, -1);
    droppedOvertaking.swap(overtaking_);
    overtakingCount_ -= droppedOvertaking.size();
    thread.swap(thread_);
    finisher.swap(finisher_);
    beside.swap(beside_);
    arrived_.notify_one();
    besideArrived_.notify_all();
  }
  thread.join();
  if (finisher.joinable()) finisher.join();
  for (std::thread& lane : beside) lane.join();
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
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      taskRuns_ = true;
      lock.unlock();
      task.run();
      // It may hold the last reference to a plan.
      task = {};
      lock.lock();
      taskRuns_ = false;
    } else if (auto job = takeOvertaking(false)) {
      run(lock, std::move(job), true);
    } else if (overtakingCount_ == 0 && !jobs_.empty()) {
      auto first = std::move(jobs_.front());
      jobs_.pop_front();
      run(lock, std::move(first), false);
    } else if (stopping_ && overtaking_.empty() && jobs_.empty()) {
      startedAll_ = true;
      started_.notify_one();
      return;
    } else {
      idle(lock);
    }
  }
}

/// Runs in lanes, reads and writes.
void Executor::laneLoop() {
  stepBack();
  backend_.enterThread();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::unique_ptr<Job> job = mayRunBeside() ? takeOvertaking(true) : nullptr;
    if (job)
      run(lock, std::move(job), true);
    else
      besideArrived_.wait(lock);
  }
}

/// Starts a job, and on a synchronous device finishes it. Others may overtake it meanwhile.
void Executor::run(std::unique_lock<std::mutex>& lock, std::unique_ptr<Job> job, bool overtaking) {
  Started started{std::move(job), nullptr, nullptr, overtaking, 0};
  if (!backend_.asynchronous())
    takePlace(started);
  else if (overtaking)
    overtakingCount_--;
  running_++;
  const Client* const client = started.job->touchesClient() ? started.job->client.get() : nullptr;
  if (client) touched_.push_back(client);
  // What may begin beside this one.
  wake();
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
  if (client) letGo(client);
  if (backend_.asynchronous()) {
    finishing_.push_back(std::move(started));
    started_.notify_one();
  } else {
    lock.unlock();
    finish(std::move(started));
    lock.lock();
  }
}

/// A job has used the client's memory.
void Executor::letGo(const Client* client) {
  touched_.erase(std::find(touched_.begin(), touched_.end(), client));
  finished_.notify_all();
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
  bool touches = false, gone = false;
  if (job.touchesClient()) {
    // Either the client is found gone here, or who ends it waits until the job is done with its memory.
    const std::lock_guard lock(mutex_);
    gone = client->cancelled;
    touches = !gone;
    if (touches) touched_.push_back(client.get());
  }
  try {
    if (!started.failure && !gone) started.failure = job.finish(found.get());
  } catch (const std::exception& error) {
    started.failure = failureOf(error, ticket);
  }
  if (started.since > 0)
    backend_.profile.add({job.name(), false, started.overtaking, job.lane() ? job.lane()->index : 0, started.since,
                          monotonicMicroseconds()});
  {
    const std::lock_guard lock(mutex_);
    if (!started.overtaking) countAccesses(job, &Buffer::normal, -1);
    if (!backend_.asynchronous()) makeWay(started);
  }
  // Buffers are released first: who hears of the job may find them idle.
  started.fence.reset();
  started.job.reset();
  {
    const std::lock_guard lock(mutex_);
    if (touches) letGo(client.get());
    running_--;
  }
  if (!client->cancelled) client->settle(ticket, std::move(started.failure));
}

/// What has to wait for the job does from now on.
void Executor::takePlace(const Started& started) {
  if (started.overtaking) countAccesses(*started.job, &Buffer::high, 1);
  if (const Lane* lane = started.job->lane()) busyLanes_[static_cast<size_t>(lane->index)] = true;
}

/// What waited for the job may begin.
void Executor::makeWay(const Started& started) {
  if (started.overtaking) {
    countAccesses(*started.job, &Buffer::high, -1);
    overtakingCount_--;
  }
  if (const Lane* lane = started.job->lane()) busyLanes_[static_cast<size_t>(lane->index)] = false;
  wake();
}

}  // namespace heddle
