// What attention's loops see beside the problem: the block sizes and the operands.
#pragma once

#include "../core/attention_problem.h"

namespace heddle {

// A block of scores stays in the first-level cache, a block of keys in the second.
inline constexpr int64_t kQueryBlock = 48;
inline constexpr int64_t kKeyBlock = 128;

// Keys that are attended to by one thread at a time where there are few queries: whole blocks.
inline constexpr int64_t kKeySpan = 2 * kKeyBlock;
// So few queries of a head cost less with the keys as they lie than with keys that are transposed for a product.
inline constexpr int64_t kFewQueries = 8;

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
