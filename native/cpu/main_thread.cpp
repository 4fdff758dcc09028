// Asks Linux whether the process's main thread sleeps.
#include "main_thread.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

namespace heddle::cpu {

// Of the files that tell it this one takes the least time to read, 3 us: what the thread waits in, or `running`.
MainThread::MainThread()
    : state_(open(("/proc/self/task/" + std::to_string(getpid()) + "/syscall").c_str(), O_RDONLY | O_CLOEXEC)) {}

MainThread::~MainThread() {
  if (state_ >= 0) close(state_);
}

bool MainThread::isRunnable() const {
  char first = 0;
  return state_ >= 0 && pread(state_, &first, 1, 0) == 1 && first == 'r';
}

}  // namespace heddle::cpu
