// Fused programs as CUDA C++ sources.
#pragma once

#include <string>
#include <vector>

#include "schedule.h"

namespace heddle::cuda {

/// One launch.
struct Stage {
  std::string entry;
  int64_t tiles;  // blocks that would cover everything once: kernels walk them with the grid's stride
  unsigned threads;
};

struct Source {
  std::string text;
  std::vector<Stage> stages;  // in order
  size_t workspaceBytes = 0;
  // Every entry has one parameter by value: this many pointers to inputs, to outputs, one to the workspace and one to
  // the run's finding, where the source is guarded.
  size_t inputs = 0;
  size_t outputs = 0;

  size_t operands() const { return inputs + outputs + 2; }
};

/// `guarded` kernels write nothing once something was found wrong in their run.
Source printSource(const Program& program, const Schedule& schedule, size_t inputs, size_t outputs, bool guarded);

}  // namespace heddle::cuda
