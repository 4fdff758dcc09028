// The implementations that may solve a convolution problem.
#pragma once

#include <memory>

#include "../core/conv_problem.h"
#include "activation.h"

namespace heddle {

/// oneDNN's convolution; with `plain` on the operands' own strides, else in the layouts oneDNN likes best. nullptr
/// where oneDNN has no fast one.
std::unique_ptr<Kernel> makeConvPrimitive(const ConvProblem& problem, ConvDirection direction, bool plain);
/// Direct loops for f64, and for extents of zero.
std::unique_ptr<Kernel> makeConvDirect(const ConvProblem& problem, ConvDirection direction);
/// bf16 and f16 in f32: converts the operands to workspace and rounds the result.
std::unique_ptr<Kernel> makeConvConverted(const ConvProblem& problem, ConvDirection direction);
/// The best of the above for the dtype and processor.
std::unique_ptr<Kernel> makeConv(const ConvProblem& problem, ConvDirection direction);

}  // namespace heddle
