// The queue, its thread, and how work ends when its client goes.
#include "executor.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <future>

namespace heddle {

namespace {

// Below the event loop, whose thread must stay responsive while every core computes. On Linux a thread hands its
// niceness to the threads it makes, so OpenMP's team inherits it.
constexpr int kNiceness = 10;

}  // namespace

void Executor::start() {
  if (thread_.joinable()) {
    if (process_ == getpid()) return;
    throw Error(ErrorCode::unsupported,
                "the device was in use before this process was forked, and its thread did not survive that: use "
                "worker_threads, or start a fresh process with child_process");
  }
  stopping_ = false;
  process_ = getpid();
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (const std::system_error& error) {
    throw Error(ErrorCode::internal, std::string("the device's thread could not be started: ") + error.what());
  }
}

void Executor::enqueue(std::unique_ptr<Job> job) {
  const std::lock_guard lock(mutex_);
  start();
  jobs_.push_back(std::move(job));
  arrived_.notify_one();
}

void Executor::runNext(const std::function<void()>& task) {
  std::packaged_task<void()> packaged(task);
  std::future<void> done = packaged.get_future();
  {
    const std::lock_guard lock(mutex_);
    start();
    tasks_.emplace_back([&packaged] { packaged(); });
    arrived_.notify_one();
  }
  done.get();
}

void Executor::cancel(const std::shared_ptr<Client>& client) {
  std::deque<std::unique_ptr<Job>> dropped;
  std::unique_lock lock(mutex_);
  client->cancelled = true;
  std::deque<std::unique_ptr<Job>> kept;
  for (auto& job : jobs_) (job->client == client ? dropped : kept).push_back(std::move(job));
  jobs_.swap(kept);
  finished_.wait(lock, [&] { return touched_ != client.get(); });
}

void Executor::stop() {
  std::thread thread;
  std::deque<std::unique_ptr<Job>> dropped;
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() || process_ != getpid()) return;
    stopping_ = true;
    dropped.swap(jobs_);
    thread.swap(thread_);
    arrived_.notify_one();
  }
  thread.join();
}

size_t Executor::queued() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size() + running_;
}

void Executor::loop() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
  backend_.setThreads(backend_.describe().threads);
  std::unique_lock lock(mutex_);
  for (;;) {
    arrived_.wait(lock, [&] { return stopping_ || !tasks_.empty() || !jobs_.empty(); });
    if (!tasks_.empty()) {
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    } else if (!jobs_.empty()) {
      std::unique_ptr<Job> job = std::move(jobs_.front());
      jobs_.pop_front();
      running_ = 1;
      touched_ = job->touchesClient() ? job->client.get() : nullptr;
      lock.unlock();
      execute(std::move(job));
      lock.lock();
      running_ = 0;
    } else {
      return;
    }
  }
}

void Executor::execute(std::unique_ptr<Job> job) {
  FailurePointer failure;
  try {
    failure = job->execute();
  } catch (const std::exception& error) {
    failure = std::make_shared<const Failure>(Failure{ErrorCode::internal, error.what(), job->ticket, -1, false});
  }
  const std::shared_ptr<Client> client = job->client;
  const uint64_t ticket = job->ticket;
  // Buffers are released first: who hears of the job may find them idle.
  job.reset();
  {
    const std::lock_guard lock(mutex_);
    touched_ = nullptr;
    running_ = 0;
  }
  finished_.notify_all();
  if (!client->cancelled) client->settle(ticket, std::move(failure));
}

}  // namespace heddle
