// Attention by scalar arithmetic: what every operand passes through shared memory in, and products with both sides'
// rows in registers. A block is 16 by 16 threads; a thread has `each` neighbouring rows of a product, and of its
// columns `each` scores or `lanes` neighbouring features.
#pragma once

#include "attention_score.h"
#include "pack.h"

namespace heddle::cuda {

/// Whether the architecture that is compiled for needs these kernels for T: they are empty where tensor cores serve
/// every call on 16-bit floats. The emulation has them all.
template <typename T>
constexpr bool needsScalarAttention() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  return sizeof(T) == sizeof(Compute<T>);
#else
  return true;
#endif
}

/// A slice is `rows` queries or keys by as many features; scores, `rows` by `rows`, lie in a slice too. Rows are 16
/// bytes longer than they need, so that 8 of them start in different banks.
template <typename C>
struct Slice {
  static constexpr int lanes = 16 / sizeof(C);
  static constexpr int each = lanes, rows = 16 * each, features = 16 * lanes, stride = features + lanes;
  static constexpr int threads = 256, elements = rows * stride;
  static_assert(rows == features);

  /// Keys lie such that the scores of a thread, 16 columns apart, are of neighbouring keys.
  __device__ static constexpr int keyOf(int row) { return each * (row % 16) + row / 16; }
};

__device__ inline int threadRow() { return static_cast<int>(threadIdx.x) / 16; }
__device__ inline int threadColumn() { return static_cast<int>(threadIdx.x) % 16; }

/// Loads features [feature, ...) of rows [first, ...) of an operand, zeros behind its ends. Behind a barrier.
template <bool keys, typename C, typename T>
__device__ inline void loadSlice(C* slice, const T* from, int64_t stride, int first, int end, int feature,
                                 int features) {
  using S = Slice<C>;
  const int column = threadIdx.x % S::features;
  const bool inside = feature + column < features;
  from += feature + column;
#pragma unroll 4
  for (int row = threadIdx.x / S::features; row < S::rows; row += S::threads / S::features) {
    const int source = first + (keys ? S::keyOf(row) : row);
    slice[row * S::stride + column] = inside && source < end ? static_cast<C>(widen(from[source * stride])) : C(0);
  }
}

template <typename C>
__device__ inline Pack<C> packAt(const C* slice, int row, int column) {
  return *reinterpret_cast<const Pack<C>*>(slice + row * Slice<C>::stride + column);
}

/// sums[i][j] += row `each y + i` of left times row `x + 16 j` of right, over `features` features.
template <typename C, int each>
__device__ inline void multiplyRows(C (&sums)[each][each], const C* left, const C* right, int features) {
  constexpr int lanes = Slice<C>::lanes;
#pragma unroll 1
  for (int f = 0; f < Slice<C>::features; f += lanes) {
    if (f >= features) break;
    Pack<C> a[each], b[each];
#pragma unroll
    for (int i = 0; i < each; i++) a[i] = packAt(left, each * threadRow() + i, f);
#pragma unroll
    for (int j = 0; j < each; j++) b[j] = packAt(right, threadColumn() + 16 * j, f);
#pragma unroll
    for (int i = 0; i < each; i++)
#pragma unroll
      for (int j = 0; j < each; j++)
#pragma unroll
        for (int e = 0; e < lanes; e++) sums[i][j] += a[i].element[e] * b[j].element[e];
  }
}

/// sums[i] += row `each y + i` of the weights times the features from `lanes x` on of right's rows.
template <typename C, int each, int lanes>
__device__ inline void multiplyWeights(C (&sums)[each][lanes], const C* weights, const C* right) {
#pragma unroll 1
  for (int k = 0; k < Slice<C>::rows; k += lanes) {
    Pack<C> a[each];
#pragma unroll
    for (int i = 0; i < each; i++) a[i] = packAt(weights, each * threadRow() + i, k);
#pragma unroll
    for (int e = 0; e < lanes; e++) {
      const Pack<C> b = packAt(right, k + e, lanes * threadColumn());
#pragma unroll
      for (int i = 0; i < each; i++)
#pragma unroll
        for (int f = 0; f < lanes; f++) sums[i][f] += a[i].element[e] * b.element[f];
    }
  }
}

/// The same with the weights transposed: column `each y + i`.
template <typename C, int each, int lanes>
__device__ inline void multiplyTransposedWeights(C (&sums)[each][lanes], const C* weights, const C* right) {
  static_assert(each == lanes);
#pragma unroll 4
  for (int k = 0; k < Slice<C>::rows; k++) {
    const Pack<C> a = packAt(weights, k, each * threadRow()), b = packAt(right, k, lanes * threadColumn());
#pragma unroll
    for (int i = 0; i < each; i++)
#pragma unroll
      for (int f = 0; f < lanes; f++) sums[i][f] += a.element[i] * b.element[f];
  }
}

/// Writes a thread's scores, one for each query and key, for the products above.
template <typename C, int each>
__device__ inline void storeScores(C* slice, const C (&scores)[each][each]) {
#pragma unroll
  for (int i = 0; i < each; i++)
#pragma unroll
    for (int j = 0; j < each; j++)
      slice[(each * threadRow() + i) * Slice<C>::stride + threadColumn() + 16 * j] = scores[i][j];
}

/// Products of queries and keys become scores, -inf where a key is not seen. `query` and `key` are the thread's first.
template <typename C, int each, typename T>
__device__ inline void finishScores(C (&scores)[each][each], const AttentionCall<T>& call, int b, int h, int query,
                                    int key) {
#pragma unroll
  for (int i = 0; i < each; i++)
#pragma unroll
    for (int j = 0; j < each; j++) scores[i][j] *= call.scale;
  if (call.mask.data)
    withMask(call.mask, b * call.mask.strides[0] + h * call.mask.strides[1], [&](auto* mask) {
#pragma unroll
      for (int i = 0; i < each; i++)
#pragma unroll
        for (int j = 0; j < each; j++)
          if (query + i < call.queries && key + j < call.keys)
            scores[i][j] =
                masked(scores[i][j], mask[(query + i) * call.mask.strides[2] + (key + j) * call.mask.strides[3]], C(1));
    });
#pragma unroll
  for (int i = 0; i < each; i++)
#pragma unroll
    for (int j = 0; j < each; j++)
      if (key + j >= call.visibleKeys(query + i) || query + i >= call.queries) scores[i][j] = -INFINITY;
}

/// Bit `each i + j` says whether dropout keeps the thread's weight [i][j].
template <int each, typename T>
__device__ inline unsigned keptWeights(const AttentionCall<T>& call, int b, int h, int query, int key) {
  const DropoutStream stream(call.dropout);
  unsigned kept = 0;
#pragma unroll 1
  for (int i = 0; i < each; i++)
    kept |= (stream.kept(weightPosition(call, b, h, query + i, key), each) & ((1u << each) - 1)) << (each * i);
  return kept;
}

}  // namespace heddle::cuda
