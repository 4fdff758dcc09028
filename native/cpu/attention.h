// The attention problem as its loops see it: extents, strides and the block sizes.
#pragma once

#include "../core/element.h"
#include "../core/kernel.h"

namespace heddle {

// A block of scores stays in the first-level cache, a block of keys in the second.
inline constexpr int64_t kQueryBlock = 48;
inline constexpr int64_t kKeyBlock = 128;

/// Strides of a [batch, head, position, feature] operand whose features have stride 1.
struct HeadStrides {
  int64_t batch, head, row;
};

struct AttentionProblem {
  int64_t batch, heads, keyHeads, queries, keys, width, valueWidth;
  double scale;
  bool causal, hasMask;
  /// Probability of dropping a weight, and the factor of those that are kept.
  double dropout, keptScale;
  /// A word drops where its upper 24 bits are below: the least that are no smaller a uniform than `dropout` as f32.
  int32_t dropLimit;
  /// Of the weights' draw behind the generator's counter, in blocks of Philox.
  int64_t offset, stateStride;
  DType maskType;
  int64_t maskStrides[4];
  HeadStrides q, k, v, out, outGrad, qGrad, kGrad, vGrad;
  int64_t statisticStrides[3];

  int64_t groupSize() const { return heads / keyHeads; }
};

inline int64_t blocksOf(int64_t extent, int64_t block) { return (extent + block - 1) / block; }

/// Where the weights' draw starts: a generator's seed, and its counter with the draw's offset.
struct DropoutStream {
  uint64_t seed, counter;
};

template <typename T>
struct AttentionPointers {
  const T* q;
  const T* k;
  const T* v;
  const void* mask;
  const T* out;
  const Compute<T>* logSumExp;
  const T* outGrad;
  DropoutStream stream;
};

}  // namespace heddle
