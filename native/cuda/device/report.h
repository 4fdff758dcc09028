// The device's side of reporting.
#pragma once

#include "../report.h"

namespace heddle::cuda {

/// Keeps the first finding. The kernel goes on with a value that is safe.
__device__ inline void reportFinding(const Reporter& to, Finding finding, long long position, long long value,
                                     long long limit, long long ignored = 0) {
  Report& report = *to.report;
  if (atomicCAS(&report.finding, 0, static_cast<int>(finding)) != 0) return;
  report.op = to.op;
  report.step = to.step;
  report.position = position;
  report.value = value;
  report.limit = limit;
  report.ignored = ignored;
}

}  // namespace heddle::cuda
