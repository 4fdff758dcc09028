// The activations a matmul or convolution may end with: for oneDNN, for one scalar, and for rows of a result.
#pragma once

#include <cmath>
#include <dnnl.hpp>

#include "../core/activation.h"

namespace heddle {

/// Appends oneDNN's post-op; sigmoid is its `logistic`, silu its `swish`.
inline void appendActivation(dnnl::post_ops& ops, Activation activation) {
  using dnnl::algorithm;
  switch (activation) {
    case Activation::relu: ops.append_eltwise(algorithm::eltwise_relu, 0.0f, 0.0f); break;
    case Activation::gelu: ops.append_eltwise(algorithm::eltwise_gelu_erf, 0.0f, 0.0f); break;
    case Activation::geluTanh: ops.append_eltwise(algorithm::eltwise_gelu_tanh, 0.0f, 0.0f); break;
    case Activation::sigmoid: ops.append_eltwise(algorithm::eltwise_logistic, 0.0f, 0.0f); break;
    case Activation::tanh: ops.append_eltwise(algorithm::eltwise_tanh, 0.0f, 0.0f); break;
    case Activation::silu: ops.append_eltwise(algorithm::eltwise_swish, 1.0f, 0.0f); break;
    case Activation::none:
    case Activation::count: break;
  }
}

inline double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::relu: return x > 0 || x != x ? x : 0;
    case Activation::gelu: return 0.5 * x * std::erfc(-x * 0.70710678118654752440);
    case Activation::geluTanh: return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case Activation::sigmoid: return 1 / (1 + std::exp(-x));
    case Activation::tanh: return std::tanh(x);
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::none:
    case Activation::count: return x;
  }
  return x;
}

/// Adds bias (may be null) to each of `rows` rows of `columns` and applies the activation, in place.
void biasActivation(float* values, const float* bias, int64_t rows, int64_t columns, Activation activation);

}  // namespace heddle
