// One thread per device that runs queued jobs in order, for every environment of the process. Where the device only
// queues work, a second one waits for it and finishes the jobs; where runs have lanes, further ones run some beside it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "job.h"

namespace heddle {

class Executor {
 public:
  explicit Executor(Backend& backend) : backend_(backend) {}
  ~Executor() { stop(); }

  /// Throws Error in a process forked after the thread started: threads do not survive a fork.
  void enqueue(std::unique_ptr<Job> job);

  /// Between two steps of a run: does first what may overtake it. For the executor thread.
  void interrupt();

  /// Runs `task` on the executor thread before anything still queued, and waits for it; exceptions come back.
  void runNext(const std::function<void()>& task);
  /// The same without waiting; `task` throws nothing. Kernels are prepared this way: they may use the compute threads,
  /// and those belong to the executor thread.
  void startNext(const std::shared_ptr<Client>& client, std::function<void()> task);

  /// Drops the client's queued jobs and tasks and settles nothing of it any more. A run of its in progress ends at its
  /// next step.
  void cancel(const std::shared_ptr<Client>& client);

  /// Ends the thread after the job in progress; queued jobs are dropped. The next call starts it again.
  void stop();

  size_t queued() const;

 private:
  /// A job given to the device, in order.
  struct Started {
    std::unique_ptr<Job> job;
    FailurePointer failure;
    std::unique_ptr<Fence> fence;  // none where the device was done at once
    bool overtaking;
    double since;  // monotonic microseconds, where there is a profile
  };

  /// What comes before queued jobs; of a client, or of one that waits for it.
  struct Task {
    std::shared_ptr<Client> client;
    std::function<void()> run;
  };

  void start();
  void startLanes(const Lane& lane);
  size_t firstFree(bool beside) const;
  std::unique_ptr<Job> takeOvertaking(bool beside);
  bool hasWork() const;
  bool mayRunBeside() const;
  void wake();
  void idle(std::unique_lock<std::mutex>& lock);
  bool mayBegin(const Job& job, bool beside) const;
  void loop();
  void laneLoop();
  void run(std::unique_lock<std::mutex>& lock, std::unique_ptr<Job> job, bool overtaking);
  void letGo(const Client* client);
  void finishLoop();
  void finish(Started started);
  void takePlace(const Started& started);
  void makeWay(const Started& started);

  Backend& backend_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;        // for the executor thread
  std::condition_variable besideArrived_;  // for those of lanes
  std::condition_variable started_;
  std::condition_variable finished_;
  std::deque<std::unique_ptr<Job>> jobs_;
  std::deque<std::unique_ptr<Job>> overtaking_;  // jobs that go before all of those; among themselves in order
  // Of those, and of those begun from there on a synchronous device.
  std::atomic<size_t> overtakingCount_{0};
  std::vector<bool> busyLanes_;
  std::deque<Task> tasks_;
  bool taskRuns_ = false;
  bool idle_ = false;         // the executor thread waits
  bool interrupted_ = false;  // within a run, to which it returns when nothing overtakes any more
  std::deque<Started> finishing_;
  // The clients whose memory jobs use that start or finish just now, as often as they do.
  std::vector<const Client*> touched_;
  size_t running_ = 0;  // jobs taken from the queue and not settled yet
  bool stopping_ = false;
  bool startedAll_ = false;  // nothing more comes into `finishing_`
  std::thread thread_;
  std::thread finisher_;             // of asynchronous devices
  std::vector<std::thread> beside_;  // of lanes, on synchronous devices
  pid_t process_ = 0;                // the one the thread was started in
};

}  // namespace heddle
