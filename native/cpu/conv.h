// The implementations that may solve a convolution problem.
#pragma once

#include <memory>

#include "../core/conv_problem.h"
#include "activation.h"

namespace heddle {

/// oneDNN's convolution; with `plain` on the operands' own strides, else in the layouts oneDNN likes best. nullptr
/// where oneDNN has no fast one.
std::unique_ptr<Kernel> makeConvPrimitive(const ConvProblem& problem, ConvDirection direction, bool plain);
/// f32 of 3 x 3, stride 1 and channels last, forward and towards the input, in less than half of the multiplications;
/// nullptr for others.
std::unique_ptr<Kernel> makeConvWinograd(const ConvProblem& problem, ConvDirection direction);
/// Direct loops for f64, and for extents of zero.
std::unique_ptr<Kernel> makeConvDirect(const ConvProblem& problem, ConvDirection direction);
/// bf16 and f16 in f32: converts the operands to workspace and rounds the result.
std::unique_ptr<Kernel> makeConvConverted(const ConvProblem& problem, ConvDirection direction);
/// The best of the above for the dtype and processor.
std::unique_ptr<Kernel> makeConv(const ConvProblem& problem, ConvDirection direction);

}  // namespace heddle
