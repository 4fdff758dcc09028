// Affinity comes from the scheduler, the quota from cgroup v2 (cpu.max) or v1 (cpu.cfs_*): quota per period, in CPUs.
#include "threads.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>

namespace heddle::cpu {

namespace {

int affinityThreads() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

int quotaThreads() {
  double quota = 0, period = 0;
  // cgroup v2 writes "max" for no quota, v1 writes -1.
  if (!(std::ifstream("/sys/fs/cgroup/cpu.max") >> quota >> period)) {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return std::numeric_limits<int>::max();
  return std::max(1, static_cast<int>(quota / period));
}

}  // namespace

int defaultThreads() {
  const char* wanted = std::getenv("OMP_NUM_THREADS");
  const int threads = wanted ? std::atoi(wanted) : 0;
  return threads > 0 ? threads : std::min(affinityThreads(), quotaThreads());
}

}  // namespace heddle::cpu
