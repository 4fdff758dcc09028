// The attention problem as its CUDA kernels see it, passed to them by value, and the ways there are to compute it.
#pragma once

#include "../core/element.h"
#include "runtime.h"

namespace heddle::cuda {

/// A [batch, head, position, feature] operand whose features have stride 1; strides in elements.
template <typename T>
struct HeadRows {
  T* data;
  int64_t batch, head, row;
  bool packed;  // every row begins at a multiple of 16 bytes and is whole packs of them

  __device__ T* of(int b, int h) const { return data + b * batch + h * head; }
};

/// What has one value per query; strides in elements.
template <typename C>
struct QueryValues {
  C* data;
  int64_t batch, head, query;

  __device__ C* of(int b, int h) const { return data + b * batch + h * head; }
};

/// Weights are dropped by a draw that starts at a generator's state [seed, counter] and goes on over [B,H,T,S].
struct Dropout {
  const int64_t* state;  // null where nothing is dropped
  int64_t stateStride;
  int64_t offset;  // of the draw behind the counter, in blocks of Philox
  unsigned limit;  // a word drops where its upper 24 bits are below
};

struct Mask {
  const void* data;  // null where there is none
  DType type;
  int64_t strides[4];  // 0 where it repeats
};

/// One call of `attention` or of `attentionGrad`; what an op does not have is null.
template <typename T>
struct AttentionCall {
  int batch, heads, keyHeads, queries, keys, width, valueWidth;
  bool causal;
  heddle::Compute<T> scale;
  Mask mask;
  Dropout dropout;
  heddle::Compute<T> keptScale;  // 1 / (1 - the probability of dropping a weight)
  HeadRows<const T> q, k, v;
  HeadRows<T> out;
  QueryValues<heddle::Compute<T>> logSumExp;
  HeadRows<const T> savedOut, outGrad;  // of attentionGrad: `out` as an input
  heddle::Compute<T>* products;         // [B,H,T], contiguous: sums over features of outGrad * out
  HeadRows<T> qGrad, kGrad, vGrad;

  __host__ __device__ int groupSize() const { return keyHeads == 0 ? 1 : heads / keyHeads; }
  /// The keys that a query sees by causality: the first ones, up to this many.
  __device__ int visibleKeys(int query) const {
    const int visible = causal ? query + 1 + keys - queries : keys;
    return visible < 0 ? 0 : visible < keys ? visible : keys;
  }
};

/// The widest heads there are kernels for.
inline constexpr int64_t kWidestHead = 256;

/// Shared memory of a block on every device whose tensor cores take both 16-bit floats: 99 KiB from compute capability
/// 8.6 on, 8.0 and 9.0 have more. The kernels on tensor cores keep below it, so that none of these devices needs
/// others.
inline constexpr size_t kTensorSharedBytes = size_t{99} << 10;

/// Queues the kernels of a call.
template <typename T>
using AttentionLaunch = void (*)(const AttentionCall<T>& call);

/// The launch for heads of this width (the larger of the two) by scalar arithmetic: for every dtype, on every device.
template <typename T>
AttentionLaunch<T> scalarAttention(int64_t width);
template <typename T>
AttentionLaunch<T> scalarAttentionGrad(int64_t width);

/// The same on tensor cores, for the 16-bit floats, on devices that have them: null where a block's tiles do not fit
/// the device's shared memory.
template <typename T>
AttentionLaunch<T> tensorAttention(int64_t width);
template <typename T>
AttentionLaunch<T> tensorAttentionGrad(int64_t width);

/// Fills `call.products`.
template <typename T>
void multiplyOutGrad(const AttentionCall<T>& call);

}  // namespace heddle::cuda
