// What products and convolutions of 8-bit integers ask of oneDNN alike: data types, attributes and operands in order.
#pragma once

#include "../core/quantized_problem.h"
#include "onednn.h"

namespace heddle::quantized {

/// Throws unsupported where the processor has no VNNI: oneDNN's kernels then add pairs of products in 16 bits, which
/// overflow.
void expectBytesMultiplied(const char* op);

dnnl::memory::data_type dataType(DType dtype);

/// Scales, zero points and ReLU of a problem; `weightMask` has the bits of the weight's axes that scales differ along.
dnnl::primitive_attr attributesOf(const QuantizedProblem& problem, int weightMask);

/// Declares the operands behind x and the weight, in the order of the step's inputs, the bias as `bias` says.
void declareOperands(onednn::Primitive& primitive, const QuantizedProblem& problem, const dnnl::memory::desc& bias);

}  // namespace heddle::quantized
