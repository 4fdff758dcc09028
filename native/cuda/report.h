// How a kernel says that a value it was given is wrong: it cannot throw, so the run's fence reads what it wrote.
#pragma once

#include "../schema.gen.h"

namespace heddle::cuda {

/// What is wrong, in the words that the host makes of it.
enum class Finding : int {
  none,
  index,       // an index outside [0, limit)
  target,      // a class outside [0, limit) that is not the ignored one
  planeIndex,  // a position outside a pooling window's plane
};

/// The first finding of a run. In device memory, zeroed as a run begins.
struct Report {
  int finding;
  int op;
  long long step;
  long long position;  // of the value in its operand, row-major
  long long value;
  long long limit;
  long long ignored;  // target: the ignored index
};

/// Where a kernel reports, and as whom; passed to it by value.
struct Reporter {
  Report* report;
  int op;
  long long step;
};

}  // namespace heddle::cuda
