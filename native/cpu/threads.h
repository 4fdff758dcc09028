// How many threads to compute with.
#pragma once

namespace heddle::cpu {

/// The CPUs that this process may use by its affinity.
int affinityThreads();

/// OMP_NUM_THREADS where set, else what the process may use: its CPU affinity, limited by the control group's quota.
int defaultThreads();

}  // namespace heddle::cpu
