// The largest element of a row and the sum of exponentials beside it, in one pass.
#pragma once

#include "group.h"

namespace heddle::cuda {

/// Milakov and Gimelshein 2018, "Online normalizer calculation for softmax": the sum is scaled down whenever a larger
/// element comes.
template <typename C>
struct OnlineSoftmax {
  C peak = -INFINITY;
  C total = 0;  // of exp(x - peak)

  /// Minus infinity adds nothing. Gives what the values were compared with.
  template <int kCount>
  __device__ C add(const C (&values)[kCount]) {
    C highest = peak;
#pragma unroll
    for (int i = 0; i < kCount; i++) highest = fmax(highest, values[i]);
    // Until an element above minus infinity has come, anything else will do: all powers are 0.
    const C reference = highest == static_cast<C>(-INFINITY) ? C(0) : highest;
    C sum = 0;
#pragma unroll
    for (int i = 0; i < kCount; i++) sum += exp(values[i] - reference);
    total = total * exp(peak - reference) + sum;
    peak = highest;
    return reference;
  }

  /// Gives every thread of the group the row's; `scratch` as for groupReduce. A row of nothing but minus infinity, or
  /// with infinity or NaN, has a total of NaN.
  __device__ void finish(int lanes, C* scratch) {
    const C mine = peak;
    peak = groupReduce<Greatest>(peak, static_cast<C>(-INFINITY), lanes, scratch);
    total = groupReduce<Sum>(total * exp(mine - peak), C(0), lanes, scratch);
  }
};

}  // namespace heddle::cuda
