// As many threads as the machine has processors, up to eight, started as sources come. They inherit the low priority of
// the device's thread that asks.
#include "compilers.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace heddle::cuda {
namespace {

/// What outlives the threads: who waits for a source that is never compiled, because the process ends, waits for ever.
struct Queue {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::packaged_task<std::string()>> waiting;
  size_t idle = 0;
  bool stopping = false;
};

Queue& queue() {
  static Queue& queue = *new Queue;
  return queue;
}

void compileForEver() {
  Queue& sources = queue();
  std::unique_lock lock(sources.mutex);
  for (;;) {
    sources.idle++;
    sources.changed.wait(lock, [&] { return sources.stopping || !sources.waiting.empty(); });
    sources.idle--;
    if (sources.stopping) return;
    std::packaged_task<std::string()> task = std::move(sources.waiting.front());
    sources.waiting.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

struct Threads {
  ~Threads() {
    {
      const std::lock_guard lock(queue().mutex);
      queue().stopping = true;
    }
    queue().changed.notify_all();
    for (std::thread& thread : all) thread.join();
  }
  std::vector<std::thread> all;
};

}  // namespace

std::shared_future<std::string> compileBeside(std::function<std::string()> compile) {
  static Threads threads;
  static const size_t most = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  Queue& sources = queue();
  std::packaged_task<std::string()> task(std::move(compile));
  std::shared_future<std::string> result = task.get_future().share();
  const std::lock_guard lock(sources.mutex);
  if (sources.stopping) return result;
  sources.waiting.push_back(std::move(task));
  if (sources.idle < sources.waiting.size() && threads.all.size() < most) threads.all.emplace_back(compileForEver);
  sources.changed.notify_one();
  return result;
}

}  // namespace heddle::cuda
