// A convolution problem in its three directions, and the implementations that may solve it.
#pragma once

#include <memory>

#include "../core/kernel.h"
#include "activation.h"

namespace heddle {

/// Logical shapes [N, C, spatial...] and [O, C / groups, kernel...], strides in elements, one dtype.
struct ConvProblem {
  TensorSpec x, weight, y;
  std::vector<int64_t> stride, paddingLow, paddingHigh, dilation;
  int64_t groups;
  bool hasBias = false;
  Activation activation = Activation::none;

  size_t spatialRank() const { return stride.size(); }
};

/// Which operand a convolution kernel computes from the other two.
enum class ConvDirection { forward, inputGrad, weightGrad };

/// oneDNN's convolution; with `plain` on the operands' own strides, else in the layouts oneDNN likes best. nullptr where
/// oneDNN has no fast one.
std::unique_ptr<Kernel> makeConvPrimitive(const ConvProblem& problem, ConvDirection direction, bool plain);
/// Direct loops for f64, and for extents of zero.
std::unique_ptr<Kernel> makeConvDirect(const ConvProblem& problem, ConvDirection direction);
/// bf16 and f16 in f32: converts the operands to workspace and rounds the result.
std::unique_ptr<Kernel> makeConvConverted(const ConvProblem& problem, ConvDirection direction);
/// The best of the above for the dtype and processor.
std::unique_ptr<Kernel> makeConv(const ConvProblem& problem, ConvDirection direction);

}  // namespace heddle
