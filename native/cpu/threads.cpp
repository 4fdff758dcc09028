// Affinity comes from the scheduler, the quota from the groups of cgroup v2 (cpu.max) or v1 (cpu.cfs_*) that this
// process is in: quota per period, in CPUs.
#include "threads.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

namespace heddle::cpu {

namespace {

/// The quota of one group in CPUs; infinite where it has none. cgroup v2 writes "max" for that, v1 writes -1.
double quotaOf(const std::string& folder, bool second) {
  double quota = 0, period = 0;
  if (second) {
    if (!(std::ifstream(folder + "/cpu.max") >> quota >> period)) quota = 0;
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : std::numeric_limits<double>::infinity();
}

/// The least quota of a group and those it is in, up to the one that is mounted. In a container the path is that of the
/// host, and what is mounted is the container's own group: what is not there has no quota.
double quotaOfPath(const std::string& mount, std::string path, bool second) {
  double least = quotaOf(mount, second);
  for (; path.size() > 1; path.erase(path.rfind('/'))) least = std::min(least, quotaOf(mount + path, second));
  return least;
}

int quotaThreads() {
  constexpr char kMount[] = "/sys/fs/cgroup";
  double least = std::min(quotaOf(kMount, true), quotaOf(std::string(kMount) + "/cpu", false));
  // Lines are hierarchy:controllers:path; of v2 with no controllers.
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), last = line.find(':', first + 1);
    if (first == std::string::npos || last == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, last - first - 1), path = line.substr(last + 1);
    if (controllers.empty()) least = std::min(least, quotaOfPath(kMount, path, true));
    if (("," + controllers + ",").find(",cpu,") != std::string::npos)
      least = std::min(least, quotaOfPath(std::string(kMount) + "/" + controllers, path, false));
  }
  return least < std::numeric_limits<int>::max() ? std::max(1, static_cast<int>(least))
                                                 : std::numeric_limits<int>::max();
}

}  // namespace

int affinityThreads() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

int defaultThreads() {
  const char* wanted = std::getenv("OMP_NUM_THREADS");
  const int threads = wanted ? std::atoi(wanted) : 0;
  return threads > 0 ? threads : std::min(affinityThreads(), quotaThreads());
}

}  // namespace heddle::cpu
