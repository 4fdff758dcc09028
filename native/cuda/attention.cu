// Op attention on tensor cores (Dao, FlashAttention-2, 2023): blocks of queries, keys passing by tile after tile.
//
// Bound by the tensor cores: 2 T S (D + Dv) multiplications and additions per head, half of them where causal; of
// memory every operand is read once per block of queries and mostly found in the second-level cache.
#include "device/attention_tiles.h"
#include "device/reduce.h"
#include "device/shared.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

/// What a block computes: `warps` times `16 rowTiles` queries, `keys` keys at a time, of heads up to `width` wide, with
/// masks and dropout where `extras`.
template <bool extras_, int width_, int rowTiles_, int warps_, int keys_>
struct Shape {
  static constexpr bool extras = extras_;
  static constexpr int width = width_, rowTiles = rowTiles_, warps = warps_, keys = keys_;
  static constexpr int threads = 32 * warps, ownRows = 16 * rowTiles, queries = warps * ownRows;
  static constexpr size_t sharedBytes = size_t{2} * width * (queries + 2 * keys);
};

/// The weights of a tile and the sums so far, online (Milakov and Gimelshein 2018); lanes sum their own columns.
template <typename S>
struct OnlineSoftmax {
  float peak[S::rowTiles][2], total[S::rowTiles][2];

  __device__ OnlineSoftmax() {
#pragma unroll
    for (int i = 0; i < S::rowTiles; i++) peak[i][0] = peak[i][1] = -INFINITY, total[i][0] = total[i][1] = 0;
  }

  __device__ void add(float (&scores)[S::rowTiles][S::keys / 8][4], float (&sums)[S::rowTiles][S::width / 8][4]) {
#pragma unroll
    for (int i = 0; i < S::rowTiles; i++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float highest = peak[i][half];
        // NaN scores are passed over here and come back through their powers.
#pragma unroll
        for (int n = 0; n < S::keys / 8; n++)
          highest = fmaxf(highest, fmaxf(scores[i][n][2 * half], scores[i][n][2 * half + 1]));
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
        const float reference = highest == -INFINITY ? 0 : highest;
        const float factor = approximateExp2(peak[i][half] - reference);
        float sum = 0;
#pragma unroll
        for (int n = 0; n < S::keys / 8; n++)
#pragma unroll
          for (int e = 0; e < 2; e++) {
            float& score = scores[i][n][2 * half + e];
            score = approximateExp2(score - reference);
            sum += score;
          }
        peak[i][half] = highest;
        total[i][half] = total[i][half] * factor + sum;
#pragma unroll
        for (int n = 0; n < S::width / 8; n++) {
          sums[i][n][2 * half] *= factor;
          sums[i][n][2 * half + 1] *= factor;
        }
      }
  }

  /// Gives a row's whole sum to all its lanes.
  __device__ void finish() {
#pragma unroll
    for (int i = 0; i < S::rowTiles; i++)
#pragma unroll
      for (int half = 0; half < 2; half++) total[i][half] = groupReduce<Sum, 4>(total[i][half]);
  }
};

template <typename T, typename S>
__global__ void __launch_bounds__(S::threads, 1) attendTiles(const __grid_constant__ AttentionCall<T> call) {
  if constexpr (hasTensorCores<T>()) {
    using Places = QueriesByKeys<S::rowTiles, S::keys / 8>;
    const int blocks = (call.queries + S::queries - 1) / S::queries;
    // The last queries see most keys where causal: they start first.
    const int firstQuery = (blocks - 1 - static_cast<int>(blockIdx.x) % blocks) * S::queries;
    const int pair = static_cast<int>(blockIdx.x) / blocks, h = pair % call.heads, b = pair / call.heads;
    const int lane = threadIdx.x % 32, ownRow = static_cast<int>(threadIdx.x) / 32 * S::ownRows;
    // The keys that the block's queries see, the warp's, and those that all of them see.
    const int lastQuery = call.queries - 1, warpQuery = firstQuery + ownRow;
    const int keys = call.visibleKeys(min(firstQuery + S::queries - 1, lastQuery));
    const int warpKeys = warpQuery > lastQuery ? 0 : call.visibleKeys(min(warpQuery + S::ownRows - 1, lastQuery));
    const int allSeen = call.visibleKeys(warpQuery);

    T* q = dynamicSharedMemory<T>();
    T* k = q + S::queries * S::width;
    T* v = k + S::keys * S::width;
    const T* keyRows = call.k.of(b, h / call.groupSize());
    const T* valueRows = call.v.of(b, h / call.groupSize());
    const auto loadKeys = [&](int first) {
      loadTile<S::keys, S::width, S::threads, InQuads>(k, keyRows, call.k.row, call.k.packed, first, call.keys,
                                                       call.width);
    };
    loadTile<S::queries, S::width, S::threads, InOrder>(q, call.q.of(b, h), call.q.row, call.q.packed, firstQuery,
                                                        call.queries, call.width);
    if (keys > 0) loadKeys(0);

    OnlineSoftmax<S> softmax;
    float sums[S::rowTiles][S::width / 8][4] = {};
    for (int first = 0; first < keys; first += S::keys) {
      waitForCopies();
      __syncthreads();
      loadTile<S::keys, S::width, S::threads, InQuads>(v, valueRows, call.v.row, call.v.packed, first, call.keys,
                                                       call.valueWidth);
      float scores[S::rowTiles][S::keys / 8][4] = {};
      if (first < warpKeys) multiplyByRows<S::width>(scores, q, ownRow, k, call.width);
      waitForCopies();
      __syncthreads();
      if (first + S::keys < keys) loadKeys(first + S::keys);
      if (first >= warpKeys) continue;
      const int query = firstQuery + ownRow + Places::firstQuery(lane), key = first + Places::firstKey(lane);
      finishScores<Places, S::extras>(scores, call, b, h, query, key, first + S::keys > allSeen);
      softmax.add(scores, sums);
      if constexpr (S::extras) {
        // The sum is of all weights: dropout comes after the softmax.
        if (call.dropout.state) {
          const unsigned long long kept = keptWeights<Places>(call, b, h, query, key);
          forEachScore<Places>([&](int i, int n, int x) {
            if (!(kept >> Places::bit(i, n, x) & 1)) scores[i][n][x] = 0;
          });
        }
      }
      multiplyByColumns<S::width>(sums, Weights<S::rowTiles, S::keys / 8, T>(scores), v, call.valueWidth);
    }
    softmax.finish();
    waitForCopies();
    __syncthreads();

    float factor[S::rowTiles][2];
    float* logSumExp = call.logSumExp.of(b, h);
#pragma unroll
    for (int i = 0; i < S::rowTiles; i++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const float total = softmax.total[i][half];
        factor[i][half] = total == 0 ? 0 : call.keptScale / total;
        const int query = firstQuery + ownRow + 16 * i + 8 * half + lane / 4;
        if (lane % 4 == 0 && query < call.queries)
          logSumExp[query * call.logSumExp.query] =
              total == 0 ? -INFINITY : (softmax.peak[i][half] + log2f(total)) * kLn2;
      }
    storeRows<S::rowTiles, S::width, InOrder>(sums, factor, q, ownRow, call.out.of(b, h), call.out.row, call.out.packed,
                                              firstQuery, call.queries, call.valueWidth);
  }
}

template <typename S, typename T>
int64_t blocksOf(const AttentionCall<T>& call) {
  return (int64_t{call.queries} + S::queries - 1) / S::queries * call.heads * call.batch;
}

template <typename S, typename T>
void launchTiles(const AttentionCall<T>& call) {
  launch("attention", attendTiles<T, S>, static_cast<unsigned>(blocksOf<S>(call)), S::threads, S::sharedBytes, call);
}

/// `Small` has masks and dropout, and serves too where blocks of `Large` would leave multiprocessors without one.
template <typename T, typename Large, typename Small>
AttentionLaunch<T> prepared() {
  static_assert(std::max(Large::sharedBytes, Small::sharedBytes) <= kTensorSharedBytes);
  if (std::max(Large::sharedBytes, Small::sharedBytes) > Context::current().sharedBytesPerBlock) return nullptr;
  allowShared(attendTiles<T, Large>, Large::sharedBytes);
  allowShared(attendTiles<T, Small>, Small::sharedBytes);
  return [](const AttentionCall<T>& call) {
    const bool few = blocksOf<Large>(call) < Context::current().multiprocessors;
    call.mask.data || call.dropout.state || few ? launchTiles<Small>(call) : launchTiles<Large>(call);
  };
}

}  // namespace

template <typename T>
AttentionLaunch<T> tensorAttention(int64_t width) {
  if (width <= 64) return prepared<T, Shape<false, 64, 2, 4, 64>, Shape<true, 64, 1, 4, 64>>();
  if (width <= 128) return prepared<T, Shape<false, 128, 2, 4, 48>, Shape<true, 128, 1, 4, 64>>();
  return prepared<T, Shape<false, 256, 1, 4, 32>, Shape<true, 256, 1, 4, 32>>();
}

template AttentionLaunch<BFloat16> tensorAttention(int64_t width);
template AttentionLaunch<Float16> tensorAttention(int64_t width);

}  // namespace heddle::cuda
