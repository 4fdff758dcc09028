// Bias and activation as a pass of their own over a result, for kernels that cannot fuse them.
#include "activation.h"

#include <cstring>

#include "../core/element.h"
#include "levels.h"

#define HEDDLE_LOOPS "activation_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

using RowFunction = void (*)(float*, const float*, int64_t);

RowFunction rowFunction(Activation activation) {
  switch (activation) {
    case Activation::relu: return HEDDLE_DISPATCH(biasActivationRow<Activation::relu>);
    case Activation::gelu: return HEDDLE_DISPATCH(biasActivationRow<Activation::gelu>);
    case Activation::geluTanh: return HEDDLE_DISPATCH(biasActivationRow<Activation::geluTanh>);
    case Activation::sigmoid: return HEDDLE_DISPATCH(biasActivationRow<Activation::sigmoid>);
    case Activation::tanh: return HEDDLE_DISPATCH(biasActivationRow<Activation::tanh>);
    case Activation::silu: return HEDDLE_DISPATCH(biasActivationRow<Activation::silu>);
    case Activation::none:
    case Activation::count: break;
  }
  return HEDDLE_DISPATCH(biasActivationRow<Activation::none>);
}

}  // namespace

void biasActivation(float* values, const float* bias, int64_t rows, int64_t columns, Activation activation) {
  const RowFunction function = rowFunction(activation);
#pragma omp parallel for schedule(static) if (rows * columns > 16384)
  for (int64_t row = 0; row < rows; row++) function(values + row * columns, bias, columns);
}

}  // namespace heddle
