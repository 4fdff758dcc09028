// The activations that kernels may end with. Accurate forms: relu keeps NaN, and gelu keeps its far negative tail.
#pragma once

#include "../../core/activation.h"

namespace heddle::cuda {

/// C is float or double.
template <typename C>
__device__ inline C activate(Activation activation, C x) {
  switch (activation) {
    case Activation::relu: return x > C(0) || x != x ? x : C(0);
    case Activation::gelu: return C(0.5) * x * erfc(-x * C(0.70710678118654752440));
    case Activation::geluTanh:
      return C(0.5) * x * (C(1) + tanh(C(0.79788456080286535588) * (x + C(0.044715) * x * x * x)));
    case Activation::sigmoid: return C(1) / (C(1) + exp(-x));
    case Activation::tanh: return tanh(x);
    case Activation::silu: return x / (C(1) + exp(-x));
    default: return x;
  }
}

}  // namespace heddle::cuda
