// Random operands for trials: on zeros a device draws less power and runs faster than it will.
#pragma once

#include "../core/kernel.h"

namespace heddle::cuda {

/// Queues a float operand's filling with values in [-1, 1).
void fillRandom(DType dtype, void* memory, size_t elements);

}  // namespace heddle::cuda
