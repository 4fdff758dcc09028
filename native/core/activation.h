// The activations a matmul or a convolution may end with, under one name.
#pragma once

#include "../schema.gen.h"

namespace heddle {

using Activation = MatmulParams::Activation;

/// The same enumeration under the convolution's name.
inline Activation activationOf(ConvParams::Activation activation) {
  static_assert(static_cast<int>(ConvParams::Activation::count) == static_cast<int>(Activation::count));
  return static_cast<Activation>(activation);
}

}  // namespace heddle
