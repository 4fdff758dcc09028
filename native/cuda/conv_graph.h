// A convolution as cuDNN's operation graph, the engines that may run it, and plans made of them.
#pragma once

#include <string>
#include <vector>

#include "../core/conv_problem.h"
#include "cudnn_plan.h"

namespace heddle::cuda {

/// Where a bias enters a graph: not at all, as an addition behind the convolution, or as what y held before, to which
/// the convolution is added. Either rounds once.
enum class GraphBias { none, added, accumulated };

/// A convolution over gapless tensors of one memory order, channels first or last, with 2 or 3 spatial axes and padding
/// that is the same on both sides.
struct PackedConv {
  ConvDirection direction;
  DType dtype;
  bool channelsLast;
  std::vector<int64_t> x, weight, y;  // extents
  std::vector<int64_t> stride, padding, dilation;
  GraphBias bias;
};

/// Strides of gapless memory in channels-first or channels-last order.
std::vector<int64_t> packedStrides(const std::vector<int64_t>& shape, bool channelsLast);

/// The operands of a plan, all 16-byte aligned; `bias` only where the graph adds one.
struct ConvPointers {
  void* x;
  void* weight;
  void* y;
  void* bias;
  void* workspace;
};

/// The engines for a convolution; empty where cuDNN knows none.
std::vector<dnn::Engine> enginesOf(const PackedConv& conv);

class ConvPlan {
 public:
  /// Throws Error where the engine turns out not to take the problem.
  explicit ConvPlan(const dnn::Engine& engine) : plan_(engine) {}

  size_t workspaceBytes() const { return plan_.workspaceBytes(); }
  /// Queues it.
  void run(const ConvPointers& pointers);

 private:
  dnn::Plan plan_;
};

}  // namespace heddle::cuda
