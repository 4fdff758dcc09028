// Op attention by scalar arithmetic (Dao, FlashAttention-2, 2023): for f32 and f64, and the 16-bit floats on devices
// without tensor cores for them.
//
// Bound by arithmetic, 2 T S (D + Dv) multiplications and additions per head, half of them where causal: a thread does
// 64 for 8 loads of 16 bytes from shared memory in f32.
#include "device/attention_slices.h"
#include "device/reduce.h"
#include "device/shared.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

/// `slices` of the widest head there is room for.
template <typename T, int slices>
__global__ void __launch_bounds__(256, slices* Slice<Compute<T>>::features <= 128 ? 2 : 1)
    attendSlices(const __grid_constant__ AttentionCall<T> call) {
  if (!needsScalarAttention<T>()) return;
  using C = Compute<T>;
  using S = Slice<C>;
  const int blocks = (call.queries + S::rows - 1) / S::rows;
  // The last queries see most keys where causal: they start first.
  const int firstQuery = (blocks - 1 - static_cast<int>(blockIdx.x) % blocks) * S::rows;
  const int pair = static_cast<int>(blockIdx.x) / blocks, h = pair % call.heads, b = pair / call.heads;
  const int keys = call.visibleKeys(min(firstQuery + S::rows, call.queries) - 1);
  const T* q = call.q.of(b, h);
  const T* k = call.k.of(b, h / call.groupSize());
  const T* v = call.v.of(b, h / call.groupSize());
  C* left = dynamicSharedMemory<C>();
  C* right = left + S::elements;
  C* weights = right + S::elements;

  const C infinity = INFINITY;
  C sums[slices][S::each][S::lanes] = {}, peak[S::each], total[S::each] = {};
#pragma unroll
  for (int i = 0; i < S::each; i++) peak[i] = -infinity;
  const int query = firstQuery + S::each * threadRow();
  for (int first = 0; first < keys; first += S::rows) {
    C scores[S::each][S::each] = {};
    for (int feature = 0; feature < call.width; feature += S::features) {
      __syncthreads();
      // Heads of one slice have their queries stay.
      if (first == 0 || call.width > S::features)
        loadSlice<false>(left, q, call.q.row, firstQuery, call.queries, feature, call.width);
      loadSlice<true>(right, k, call.k.row, first, call.keys, feature, call.width);
      __syncthreads();
      multiplyRows(scores, left, right, call.width - feature);
    }
    const int key = first + S::each * threadColumn();
    finishScores(scores, call, b, h, query, key);
#pragma unroll
    for (int i = 0; i < S::each; i++) {
      C highest = peak[i];
      // NaN scores are passed over here and come back through their exponentials.
#pragma unroll
      for (int j = 0; j < S::each; j++) highest = fmax(highest, scores[i][j]);
#pragma unroll
      for (int distance = 8; distance > 0; distance /= 2)
        highest = fmax(highest, __shfl_xor_sync(0xffffffffu, highest, distance));
      const C reference = highest == -infinity ? C(0) : highest;
      const C factor = exp(peak[i] - reference);
      C sum = 0;
#pragma unroll
      for (int j = 0; j < S::each; j++) sum += scores[i][j] = exp(scores[i][j] - reference);
      peak[i] = highest;
      total[i] = total[i] * factor + sum;
#pragma unroll
      for (int s = 0; s < slices; s++)
#pragma unroll
        for (int f = 0; f < S::lanes; f++) sums[s][i][f] *= factor;
    }
    if (call.dropout.state) {
      // The sum is of all weights: dropout comes after the softmax.
      const unsigned kept = keptWeights<S::each>(call, b, h, query, key);
#pragma unroll
      for (int i = 0; i < S::each; i++)
#pragma unroll
        for (int j = 0; j < S::each; j++)
          if (!(kept >> (S::each * i + j) & 1)) scores[i][j] = 0;
    }
    storeScores(weights, scores);
#pragma unroll
    for (int s = 0; s < slices; s++) {
      if (s * S::features >= call.valueWidth) continue;
      __syncthreads();
      loadSlice<true>(right, v, call.v.row, first, call.keys, s * S::features, call.valueWidth);
      __syncthreads();
      multiplyWeights(sums[s], weights, right);
    }
  }
  T* out = call.out.of(b, h);
  C* logSumExp = call.logSumExp.of(b, h);
#pragma unroll
  for (int i = 0; i < S::each; i++) {
    total[i] = groupReduce<Sum, 16>(total[i]);
    if (query + i >= call.queries) continue;
    if (threadColumn() == 0)
      logSumExp[(query + i) * call.logSumExp.query] = total[i] == 0 ? -infinity : peak[i] + log(total[i]);
    const C factor = total[i] == 0 ? C(0) : call.keptScale / total[i];
#pragma unroll
    for (int s = 0; s < slices; s++)
#pragma unroll
      for (int f = 0; f < S::lanes; f++) {
        const int feature = s * S::features + S::lanes * threadColumn() + f;
        if (feature < call.valueWidth) out[(query + i) * call.out.row + feature] = narrow<T>(sums[s][i][f] * factor);
      }
  }
}

template <typename T, int slices>
AttentionLaunch<T> prepared() {
  using S = Slice<Compute<T>>;
  static constexpr size_t sharedBytes = size_t{3} * S::elements * sizeof(Compute<T>);
  allowShared(attendSlices<T, slices>, sharedBytes);
  return [](const AttentionCall<T>& call) {
    const int64_t blocks = (int64_t{call.queries} + S::rows - 1) / S::rows;
    launch("attention", attendSlices<T, slices>, static_cast<unsigned>(blocks * call.heads * call.batch), S::threads,
           sharedBytes, call);
  };
}

}  // namespace

template <typename T>
AttentionLaunch<T> scalarAttention(int64_t width) {
  constexpr int features = Slice<Compute<T>>::features;
  // f64 is for checking gradients: the kernel of the widest heads serves all.
  if constexpr (!std::is_same_v<T, double>) {
    if (width <= 64) return prepared<T, 64 / features>();
    if (width <= 128) return prepared<T, 128 / features>();
  }
  return prepared<T, 256 / features>();
}

template AttentionLaunch<float> scalarAttention(int64_t width);
template AttentionLaunch<double> scalarAttention(int64_t width);
template AttentionLaunch<BFloat16> scalarAttention(int64_t width);
template AttentionLaunch<Float16> scalarAttention(int64_t width);

}  // namespace heddle::cuda
