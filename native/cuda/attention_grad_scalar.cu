// Op attentionGrad by scalar arithmetic, for what attention_scalar.cu serves: the weights are computed again, and every
// sum has one owner and one order, as in attention_grad.cu.
//
// Bound by arithmetic: 7 products of T S D per head, half of them where causal.
#include "device/attention_slices.h"
#include "device/shared.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

/// The part of a block's work that both kernels do: weights and slopes of a block of queries and one of keys.
template <typename T>
struct Block {
  using C = Compute<T>;
  using S = Slice<C>;
  const AttentionCall<T>& call;
  const int b;
  C *left, *right, *scores;  // slices: of queries' operands, of keys' operands, and of weights or slopes

  __device__ Block(const AttentionCall<T>& call, int b)
      : call(call), b(b), left(dynamicSharedMemory<C>()), right(left + S::elements), scores(right + S::elements) {}

  /// weights = P and, where `first`, slopes = dS / scale; `kept` as keptWeights tells.
  template <bool first>
  __device__ void compute(int h, int firstQuery, int firstKey, C (&weights)[S::each][S::each],
                          C (&slopes)[S::each][S::each], unsigned& kept) {
    const int keyHead = h / call.groupSize();
#pragma unroll
    for (int i = 0; i < S::each; i++)
#pragma unroll
      for (int j = 0; j < S::each; j++) weights[i][j] = slopes[i][j] = 0;
    for (int feature = 0; feature < call.width; feature += S::features) {
      __syncthreads();
      loadSlice<false>(left, call.q.of(b, h), call.q.row, firstQuery, call.queries, feature, call.width);
      loadSlice<true>(right, call.k.of(b, keyHead), call.k.row, firstKey, call.keys, feature, call.width);
      __syncthreads();
      multiplyRows(weights, left, right, call.width - feature);
    }
    for (int feature = 0; first && feature < call.valueWidth; feature += S::features) {
      __syncthreads();
      loadSlice<false>(left, call.outGrad.of(b, h), call.outGrad.row, firstQuery, call.queries, feature,
                       call.valueWidth);
      loadSlice<true>(right, call.v.of(b, keyHead), call.v.row, firstKey, call.keys, feature, call.valueWidth);
      __syncthreads();
      multiplyRows(slopes, left, right, call.valueWidth - feature);
    }
    const int query = firstQuery + S::each * threadRow(), key = firstKey + S::each * threadColumn();
    finishScores(weights, call, b, h, query, key);
    kept = ~0u;
    if (call.dropout.state) kept = keptWeights<S::each>(call, b, h, query, key);
    const C* logSumExp = call.logSumExp.of(b, h);
    const C* products = call.products + (int64_t{b} * call.heads + h) * call.queries;
    const C infinity = INFINITY;
#pragma unroll
    for (int i = 0; i < S::each; i++) {
      const bool inside = query + i < call.queries;
      const C statistic = inside ? logSumExp[(query + i) * call.logSumExp.query] : infinity;
      // A query that sees nothing has -inf; its weights are zero.
      const C reference = statistic == -infinity ? infinity : statistic;
      const C product = inside ? products[query + i] : C(0);
#pragma unroll
      for (int j = 0; j < S::each; j++) {
        const C weight = exp(weights[i][j] - reference);
        const C slope = kept >> (S::each * i + j) & 1 ? slopes[i][j] * call.keptScale : C(0);
        weights[i][j] = weight;
        // Scores that are hidden pass nothing back, whatever the products in their place.
        slopes[i][j] = weight == 0 ? C(0) : weight * (slope - product);
      }
    }
  }
};

/// Writes a thread's rows of sums times `factor`; `row(i)` is the operand's row, behind `end` where there is none.
template <typename T, typename C, int slices, int each, int lanes, typename Row>
__device__ inline void storeSums(const C (&sums)[slices][each][lanes], C factor, T* to, int64_t stride, int end,
                                 int features, Row&& row) {
#pragma unroll
  for (int i = 0; i < each; i++) {
    if (row(i) >= end) continue;
#pragma unroll
    for (int s = 0; s < slices; s++)
#pragma unroll
      for (int f = 0; f < lanes; f++) {
        const int feature = s * Slice<C>::features + lanes * threadColumn() + f;
        if (feature < features) to[row(i) * stride + feature] = narrow<T>(sums[s][i][f] * factor);
      }
  }
}

template <typename T, int slices>
__global__ void __launch_bounds__(256, 1) sumQueryGradients(const __grid_constant__ AttentionCall<T> call) {
  if (!needsScalarAttention<T>()) return;
  using C = Compute<T>;
  using S = Slice<C>;
  const int blocks = (call.queries + S::rows - 1) / S::rows;
  const int firstQuery = (blocks - 1 - static_cast<int>(blockIdx.x) % blocks) * S::rows;
  const int pair = static_cast<int>(blockIdx.x) / blocks, h = pair % call.heads, b = pair / call.heads;
  const int keys = call.visibleKeys(min(firstQuery + S::rows, call.queries) - 1);
  const T* k = call.k.of(b, h / call.groupSize());
  Block<T> block(call, b);
  C sums[slices][S::each][S::lanes] = {};
  for (int first = 0; first < keys; first += S::rows) {
    C weights[S::each][S::each], slopes[S::each][S::each];
    unsigned kept;
    block.template compute<true>(h, firstQuery, first, weights, slopes, kept);
    storeScores(block.scores, slopes);
#pragma unroll
    for (int s = 0; s < slices; s++) {
      if (s * S::features >= call.width) continue;
      __syncthreads();
      loadSlice<true>(block.right, k, call.k.row, first, call.keys, s * S::features, call.width);
      __syncthreads();
      multiplyWeights(sums[s], block.scores, block.right);
    }
  }
  const int query = firstQuery + S::each * threadRow();
  storeSums(sums, call.scale, call.qGrad.of(b, h), call.qGrad.row, call.queries, call.width,
            [&](int i) { return query + i; });
}

/// Gradients of k where `first`, of v where `second`.
template <typename T, int slices, bool first, bool second>
__global__ void __launch_bounds__(256, 1) sumKeyGradients(const __grid_constant__ AttentionCall<T> call) {
  if (!needsScalarAttention<T>()) return;
  using C = Compute<T>;
  using S = Slice<C>;
  const int blocks = (call.keys + S::rows - 1) / S::rows;
  const int firstKey = static_cast<int>(blockIdx.x) % blocks * S::rows, pair = static_cast<int>(blockIdx.x) / blocks;
  const int keyHead = pair % call.keyHeads, b = pair / call.keyHeads;
  // The first query that sees a key of the block.
  const int seen = call.causal ? max(firstKey + call.queries - call.keys, 0) / S::rows * S::rows : 0;
  Block<T> block(call, b);
  C sums[first ? slices : 1][S::each][S::lanes] = {}, valueSums[second ? slices : 1][S::each][S::lanes] = {};
  // Sums a slice of an operand of the queries, weighted by what lies in the block's scores.
  const auto add = [&](C(&to)[S::each][S::lanes], const T* from, int64_t stride, int start, int feature, int features) {
    __syncthreads();
    loadSlice<false>(block.left, from, stride, start, call.queries, feature, features);
    __syncthreads();
    multiplyTransposedWeights(to, block.scores, block.left);
  };
  for (int h = keyHead * call.groupSize(); h < (keyHead + 1) * call.groupSize(); h++)
    for (int start = seen; start < call.queries; start += S::rows) {
      C weights[S::each][S::each], slopes[S::each][S::each];
      unsigned kept;
      block.template compute<first>(h, start, firstKey, weights, slopes, kept);
      if constexpr (first) {
        storeScores(block.scores, slopes);
#pragma unroll
        for (int s = 0; s < slices; s++)
          if (s * S::features < call.width)
            add(sums[s], call.q.of(b, h), call.q.row, start, s * S::features, call.width);
      }
      if constexpr (first && second) __syncthreads();
      if constexpr (second) {
#pragma unroll
        for (int i = 0; i < S::each; i++)
#pragma unroll
          for (int j = 0; j < S::each; j++)
            if (!(kept >> (S::each * i + j) & 1)) weights[i][j] = 0;
        storeScores(block.scores, weights);
#pragma unroll
        for (int s = 0; s < slices; s++)
          if (s * S::features < call.valueWidth)
            add(valueSums[s], call.outGrad.of(b, h), call.outGrad.row, start, s * S::features, call.valueWidth);
      }
    }
  const auto row = [&](int i) { return firstKey + S::keyOf(S::each * threadRow() + i); };
  if constexpr (first)
    storeSums(sums, call.scale, call.kGrad.of(b, keyHead), call.kGrad.row, call.keys, call.width, row);
  if constexpr (second)
    storeSums(valueSums, call.keptScale, call.vGrad.of(b, keyHead), call.vGrad.row, call.keys, call.valueWidth, row);
}

template <typename T>
constexpr size_t kSharedBytes = size_t{3} * Slice<Compute<T>>::elements * sizeof(Compute<T>);

template <typename T, int slices, bool first, bool second>
void launchKeys(const AttentionCall<T>& call) {
  using S = Slice<Compute<T>>;
  const int64_t blocks = (int64_t{call.keys} + S::rows - 1) / S::rows;
  launch("attentionGrad", sumKeyGradients<T, slices, first, second>,
         static_cast<unsigned>(blocks * call.keyHeads * call.batch), S::threads, kSharedBytes<T>, call);
}

template <typename T, int slices>
void launchQueries(const AttentionCall<T>& call) {
  using S = Slice<Compute<T>>;
  const int64_t blocks = (int64_t{call.queries} + S::rows - 1) / S::rows;
  launch("attentionGrad", sumQueryGradients<T, slices>, static_cast<unsigned>(blocks * call.heads * call.batch),
         S::threads, kSharedBytes<T>, call);
}

/// `together`: a block has registers for the gradients of both k and v.
template <typename T, int slices, bool together>
AttentionLaunch<T> prepared() {
  allowShared(sumQueryGradients<T, slices>, kSharedBytes<T>);
  allowShared(sumKeyGradients<T, slices, true, together>, kSharedBytes<T>);
  if constexpr (!together) allowShared(sumKeyGradients<T, slices, false, true>, kSharedBytes<T>);
  return [](const AttentionCall<T>& call) {
    multiplyOutGrad(call);
    launchKeys<T, slices, true, together>(call);
    if constexpr (!together) launchKeys<T, slices, false, true>(call);
    launchQueries<T, slices>(call);
  };
}

}  // namespace

template <typename T>
AttentionLaunch<T> scalarAttentionGrad(int64_t width) {
  constexpr int features = Slice<Compute<T>>::features;
  // f64 is for checking gradients: the kernels of the widest heads serve all.
  if constexpr (!std::is_same_v<T, double>) {
    if (width <= 64) return prepared<T, 64 / features, true>();
    if (width <= 128) return prepared<T, 128 / features, true>();
  }
  return prepared<T, 256 / features, false>();
}

template AttentionLaunch<float> scalarAttentionGrad(int64_t width);
template AttentionLaunch<double> scalarAttentionGrad(int64_t width);
template AttentionLaunch<BFloat16> scalarAttentionGrad(int64_t width);
template AttentionLaunch<Float16> scalarAttentionGrad(int64_t width);

}  // namespace heddle::cuda
