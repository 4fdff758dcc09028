// A fiber: a stack of its own that is switched to and from by hand.
#pragma once

#include <cstddef>

namespace heddle::emulation {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next `resume` starts `body` from its beginning.
  void start(void (*body)());
  /// Runs the fiber until it yields or its body returns.
  void resume();
  /// Back to whoever resumed the running fiber.
  static void yield();
  bool done() const { return done_; }

 private:
  static void enter();

  void* stack_;
  void* pointer_ = nullptr;  // the stack pointer while it does not run
  void (*body_)() = nullptr;
  bool done_ = true;
};

}  // namespace heddle::emulation
