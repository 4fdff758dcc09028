// Niceness and slice of the threads that compute, as Linux takes them.
#include "thread_priority.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace heddle {

namespace {

// Below the event loop, whose thread must stay responsive while every core computes. On Linux a thread hands its
// niceness and slice to the threads it makes, so OpenMP's team inherits them. Where the system knows slices of a
// thread's own (Linux 6.12), a thread that wakes may interrupt one of a longer slice at once; the default one is just
// below 3 ms at most. Much longer ones would let threads that share a core owe each other as much, and until such a
// debt is settled others wait, the event loop's thread among them. Batch threads (SCHED_BATCH) take the core from
// nobody when they wake: of two processes that train on the same cores, the one of smaller kernels then waited at each
// of them for the other's slice.
constexpr int kNiceness = 19;
constexpr uint64_t kSliceNanoseconds = 3'000'000;

/// What sched_setattr takes; the C library has no declaration of it.
struct SchedulingAttributes {
  uint32_t size = sizeof(SchedulingAttributes);
  uint32_t policy = SCHED_OTHER;
  uint64_t flags = 0;
  int32_t nice = kNiceness;
  uint32_t priority = 0;
  uint64_t runtime = kSliceNanoseconds, deadline = 0, period = 0;
};

}  // namespace

/// Where a system does not know the first call (gVisor) the second one does most of it. What is refused is left as it
/// is: the thread computes all the same.
void stepBack() {
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0)
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
}

}  // namespace heddle
