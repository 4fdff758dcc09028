// What follows a product or a convolution: a bias per channel and an activation, over dense memory.
#pragma once

#include "../core/activation.h"
#include "../core/kernel.h"

namespace heddle::cuda {

/// The elements of a result in the order of memory: `inner` neighbours share a channel, then the next of `channels`
/// begins, over and over.
struct ChannelWalk {
  int64_t elements;
  int64_t inner;
  int64_t channels;
};

/// Queues result = activation(values + bias), rounded once to `dtype`, a float. `values` are f32 where the dtype is a
/// 16-bit float, else of the dtype; they may be `result` itself, or null for zeros. `bias` may be null.
void queueBiasActivation(DType dtype, const void* values, const void* bias, void* result, const ChannelWalk& walk,
                         Activation activation);

}  // namespace heddle::cuda
