// Attention and its gradient as cuDNN's operation graphs, the engines that may run them, and plans made of them.
#pragma once

#include <vector>

#include "../core/attention_problem.h"
#include "cudnn_plan.h"

namespace heddle::cuda {

enum class AttentionDirection { forward, grad };

/// The operands of a plan, all 16-byte aligned; what a direction does not have is null.
struct AttentionPointers {
  void *q, *k, *v, *out, *logSumExp;
  void *outGrad, *qGrad, *kGrad, *vGrad;
  void* products;  // f32 [B,H,T] for the gradient to use
  void* workspace;
};

/// Whether cuDNN's graphs can say this problem: 16-bit floats, no mask and no dropout, every query sees a key, rows
/// that are whole packs of 16 bytes.
bool describable(const AttentionProblem& problem, AttentionDirection direction);

/// The engines for a problem that is describable; empty where cuDNN knows none.
std::vector<dnn::Engine> enginesOf(const AttentionProblem& problem, AttentionDirection direction);

class AttentionPlan {
 public:
  /// Throws Error where the engine turns out not to take the problem.
  AttentionPlan(const AttentionProblem& problem, AttentionDirection direction, const dnn::Engine& engine);

  size_t workspaceBytes() const { return plan_.workspaceBytes(); }
  /// Queues it.
  void run(const AttentionPointers& pointers);

 private:
  AttentionDirection direction_;
  bool causal_;
  // What the graph takes by value is read from here whenever it is queued.
  float scale_;
  int32_t queries_, keys_;
  dnn::Plan plan_;
};

}  // namespace heddle::cuda
