// The process's main thread, which in Node.js is the event loop's.
#pragma once

namespace heddle::cpu {

class MainThread {
 public:
  MainThread();
  ~MainThread();
  MainThread(const MainThread&) = delete;
  MainThread& operator=(const MainThread&) = delete;

  /// Whether it runs or waits for a core, to any other thread. False where the system does not tell.
  bool isRunnable() const;

 private:
  int state_;
};

}  // namespace heddle::cpu
