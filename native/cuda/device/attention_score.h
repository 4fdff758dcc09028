// What attention does to a score beside the softmax: masks, causality and dropout.
#pragma once

#include "../attention.h"
#include "philox.h"
#include "scalar.h"

namespace heddle::cuda {

/// Calls `apply` with the mask's address as that of its elements; a bool is a byte.
template <typename Apply>
__device__ inline void withMask(const Mask& mask, int64_t offset, Apply&& apply) {
  switch (mask.type) {
    case DType::bool_: return apply(static_cast<const unsigned char*>(mask.data) + offset);
    case DType::f32: return apply(static_cast<const float*>(mask.data) + offset);
    case DType::f64: return apply(static_cast<const double*>(mask.data) + offset);
    case DType::bf16: return apply(static_cast<const BFloat16*>(mask.data) + offset);
    default: return apply(static_cast<const Float16*>(mask.data) + offset);
  }
}

/// The score under a mask's element. `unit` is 1, or log2(e) where scores are those of powers of 2.
template <typename C>
__device__ inline C masked(C score, unsigned char seen, C) {
  return seen ? score : -static_cast<C>(INFINITY);
}
template <typename C, typename M>
__device__ inline C masked(C score, M bias, C unit) {
  return score + static_cast<C>(widen(bias)) * unit;
}

/// The draw of a call's dropout: uniforms of f32, one for each weight (lib/schema/program.ts).
struct DropoutStream {
  unsigned long long seed, counter;
  unsigned limit;

  __device__ explicit DropoutStream(const Dropout& dropout)
      : seed(static_cast<unsigned long long>(dropout.state[0])),
        counter(static_cast<unsigned long long>(dropout.state[dropout.stateStride] + dropout.offset)),
        limit(dropout.limit) {}

  __device__ unsigned keptOfBlock(unsigned long long block) const {
    const PhiloxBlock drawn = philox(counter + block, seed);
    unsigned bits = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) bits |= (drawn.word[i] >> 8 >= limit ? 1u : 0u) << i;
    return bits;
  }

  /// Bit i says whether the weight at `position + i` is kept, for i below `count`, which is at most 4; further bits say
  /// nothing.
  __device__ unsigned kept(unsigned long long position, int count) const {
    const unsigned shift = static_cast<unsigned>(position & 3);
    unsigned bits = keptOfBlock(position >> 2);
    if (shift + count > 4) bits |= keptOfBlock((position >> 2) + 1) << 4;
    return bits >> shift;
  }
};

/// Of a weight in the draw, which goes over [B,H,T,S].
template <typename T>
__device__ inline unsigned long long weightPosition(const AttentionCall<T>& call, int b, int h, int query, int key) {
  const auto row = (static_cast<unsigned long long>(b) * call.heads + h) * call.queries + query;
  return row * call.keys + key;
}

}  // namespace heddle::cuda
