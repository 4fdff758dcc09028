// Op attentionGrad on tensor cores (Dao, FlashAttention-2, 2023): the weights are computed again from the logarithms of
// their sums. With P = exp(S - lse), dV = P^T dO, dP = dO V^T, dS = P (dP - rowsum(dO O)), dQ = scale dS K and
// dK = scale dS^T Q. A block owns rows of what it sums, keys or queries, while the others pass by: every sum has one
// owner and one order.
//
// Bound by the tensor cores: 7 products of T S D per head where keys' gradients are summed together, 8 where they do
// not fit one block's registers; half of that where causal.
#include <type_traits>

#include "device/attention_tiles.h"
#include "device/reduce.h"
#include "device/shared.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

/// What a block sums: for the queries it owns, or for the keys it owns.
enum class Owner { queries, keys };

/// `warps` times 16 rows of one kind are a block's own, `passing` of the other pass by at a time, of heads up to
/// `width` wide. Gradients `first` are those of q or of k, `second` those of v.
template <Owner owner_, bool first_, bool second_, int width_, int warps_, int passing_>
struct Shape {
  static constexpr Owner owner = owner_;
  static constexpr bool first = first_, second = second_;
  static constexpr int width = width_, warps = warps_, passing = passing_;
  static constexpr int threads = 32 * warps, own = 16 * warps;
  static constexpr int ownElements = own * width, passingElements = passing * width;
  /// Own rows (those beside values only where slopes are taken), two stages of both passing tiles, two of statistics.
  static constexpr size_t sharedBytes =
      size_t{2} * ((first ? 2 : 1) * ownElements + 4 * passingElements) + size_t{4} * 4 * passing;
  using Places =
      std::conditional_t<owner == Owner::queries, QueriesByKeys<1, passing / 8>, KeysByQueries<1, passing / 8>>;
  using OwnOrder = std::conditional_t<owner == Owner::queries, InOrder, InPairs>;
  using PassingOrder = std::conditional_t<owner == Owner::queries, InQuads, InOrder>;
};

/// What is subtracted from a query's scores: a query that sees nothing has -inf, and weights of 0.
__device__ inline float referenceOf(float logSumExp) { return logSumExp == -INFINITY ? INFINITY : logSumExp * kLog2E; }

template <typename T, typename S>
__global__ void __launch_bounds__(S::threads, 1) sumGradients(const __grid_constant__ AttentionCall<T> call) {
  if constexpr (hasTensorCores<T>()) {
    using Places = typename S::Places;
    constexpr bool byQuery = S::owner == Owner::queries;
    const int ownEnd = byQuery ? call.queries : call.keys, ownHeads = byQuery ? call.heads : call.keyHeads;
    const int blocks = (ownEnd + S::own - 1) / S::own;
    const int block = static_cast<int>(blockIdx.x) % blocks, pair = static_cast<int>(blockIdx.x) / blocks;
    // Where causal the last queries and the first keys meet most others: they start first.
    const int firstOwn = (byQuery ? blocks - 1 - block : block) * S::own;
    const int ownHead = pair % ownHeads, b = pair / ownHeads;
    const int lane = threadIdx.x % 32, ownRow = static_cast<int>(threadIdx.x) / 32 * 16;
    const int warpOwn = firstOwn + ownRow;

    // Steps: the tiles of keys that the queries see; or, head after head of the group, the tiles of queries that see a
    // key.
    const int passingEnd = byQuery ? call.visibleKeys(min(firstOwn + S::own, call.queries) - 1) : call.queries;
    const int firstTile = byQuery || !call.causal ? 0 : max(firstOwn + call.queries - call.keys, 0) / S::passing;
    const int tiles = (passingEnd + S::passing - 1) / S::passing - firstTile;
    const int steps = tiles * (byQuery ? 1 : call.groupSize());
    const auto headOf = [&](int step) { return byQuery ? ownHead : ownHead * call.groupSize() + step / tiles; };
    const auto passingOf = [&](int step) { return (firstTile + (byQuery ? step : step % tiles)) * S::passing; };

    T* own = dynamicSharedMemory<T>();    // of q or k
    T* ownValues = own + S::ownElements;  // of outGrad or v
    T* stages = ownValues + (S::first ? S::ownElements : 0);
    auto* statistics = reinterpret_cast<float*>(stages + 4 * S::passingElements);

    const auto& ownFrom = byQuery ? call.q : call.k;
    const auto& ownValuesFrom = byQuery ? call.outGrad : call.v;
    const auto& passingFrom = byQuery ? call.k : call.q;
    const auto& passingValuesFrom = byQuery ? call.v : call.outGrad;
    loadTile<S::own, S::width, S::threads, typename S::OwnOrder>(own, ownFrom.of(b, ownHead), ownFrom.row,
                                                                 ownFrom.packed, firstOwn, ownEnd, call.width);
    if constexpr (S::first)
      loadTile<S::own, S::width, S::threads, typename S::OwnOrder>(ownValues, ownValuesFrom.of(b, ownHead),
                                                                   ownValuesFrom.row, ownValuesFrom.packed, firstOwn,
                                                                   ownEnd, call.valueWidth);
    const auto load = [&](int step) {
      T* stage = stages + step % 2 * 2 * S::passingElements;
      const int head = byQuery ? ownHead / call.groupSize() : headOf(step), first = passingOf(step);
      const int end = byQuery ? call.keys : call.queries;
      loadTile<S::passing, S::width, S::threads, typename S::PassingOrder>(
          stage, passingFrom.of(b, head), passingFrom.row, passingFrom.packed, first, end, call.width);
      loadTile<S::passing, S::width, S::threads, typename S::PassingOrder>(
          stage + S::passingElements, passingValuesFrom.of(b, head), passingValuesFrom.row, passingValuesFrom.packed,
          first, end, call.valueWidth);
    };
    // Of a query: what its scores are lessened by, and the sum over features of outGrad * out.
    const auto statistic = [&](int h, int query, bool product) {
      if (query >= call.queries) return product ? 0.0f : INFINITY;
      if (product) return call.products[(int64_t{b} * call.heads + h) * call.queries + query];
      return referenceOf(call.logSumExp.of(b, h)[query * call.logSumExp.query]);
    };
    // Passing queries' statistics: a thread has one.
    const auto passingStatistic = [&](int step) {
      const int i = static_cast<int>(threadIdx.x);
      return i < 2 * S::passing ? statistic(headOf(step), passingOf(step) + i % S::passing, i >= S::passing) : 0;
    };
    const auto keepStatistic = [&](int step, float value) {
      if (threadIdx.x < 2 * S::passing) statistics[step % 2 * 2 * S::passing + threadIdx.x] = value;
    };
    static_assert(S::threads >= 2 * S::passing);

    float reference[2] = {}, product[2] = {};  // of own queries
    if (byQuery)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        reference[half] = statistic(ownHead, warpOwn + 8 * half + lane / 4, false);
        product[half] = statistic(ownHead, warpOwn + 8 * half + lane / 4, true);
      }
    if (steps > 0) {
      load(0);
      if (!byQuery) keepStatistic(0, passingStatistic(0));
    }

    float sums[1][S::first ? S::width / 8 : 1][4] = {};
    float valueSums[1][S::second ? S::width / 8 : 1][4] = {};
    for (int step = 0; step < steps; step++) {
      waitForCopies();
      __syncthreads();
      float next = 0;
      if (step + 1 < steps) {
        load(step + 1);
        if (!byQuery) next = passingStatistic(step + 1);
      }
      const T* passing = stages + step % 2 * 2 * S::passingElements;
      const T* passingValues = passing + S::passingElements;
      const float* tileStatistics = statistics + step % 2 * 2 * S::passing;
      const int h = headOf(step), first = passingOf(step);
      const int firstQuery = byQuery ? warpOwn : first, firstKey = byQuery ? first : warpOwn;
      const int lastQuery = min(firstQuery + (byQuery ? 16 : S::passing), call.queries) - 1;
      // Warps whose rows meet nothing of the tile have nothing to add.
      if (warpOwn < ownEnd && firstKey < call.visibleKeys(lastQuery)) {
        const int query = firstQuery + Places::firstQuery(lane), key = firstKey + Places::firstKey(lane);
        float weights[1][S::passing / 8][4] = {};
        multiplyByRows<S::width>(weights, own, ownRow, passing, call.width);
        const bool edge = firstKey + (byQuery ? S::passing : 16) > call.visibleKeys(firstQuery) ||
                          (!byQuery && first + S::passing > call.queries);
        finishScores<Places, true>(weights, call, b, h, query, key, edge);
        const auto columnStatistic = [&](int n, int x, bool isProduct) {
          return tileStatistics[(isProduct ? S::passing : 0) + 8 * n + 2 * (lane % 4) + x % 2];
        };
        forEachScore<Places>([&](int i, int n, int x) {
          const float lessBy = byQuery ? reference[x / 2] : columnStatistic(n, x, false);
          weights[i][n][x] = approximateExp2(weights[i][n][x] - lessBy);
        });
        unsigned long long kept = ~0ull;
        if (call.dropout.state) kept = keptWeights<Places>(call, b, h, query, key);
        if constexpr (S::first) {
          float slopes[1][S::passing / 8][4] = {};
          multiplyByRows<S::width>(slopes, ownValues, ownRow, passingValues, call.valueWidth);
          forEachScore<Places>([&](int i, int n, int x) {
            const float slope = kept >> Places::bit(i, n, x) & 1 ? slopes[i][n][x] * call.keptScale : 0;
            const float change = weights[i][n][x] * (slope - (byQuery ? product[x / 2] : columnStatistic(n, x, true)));
            // Scores that are hidden pass nothing back, whatever the products in their place.
            slopes[i][n][x] = weights[i][n][x] == 0 ? 0 : change;
          });
          multiplyByColumns<S::width>(sums, Weights<1, S::passing / 8, T>(slopes), passing, call.width);
        }
        if constexpr (S::second) {
          forEachScore<Places>([&](int i, int n, int x) {
            if (!(kept >> Places::bit(i, n, x) & 1)) weights[i][n][x] = 0;
          });
          multiplyByColumns<S::width>(valueSums, Weights<1, S::passing / 8, T>(weights), passingValues,
                                      call.valueWidth);
        }
      }
      if (!byQuery && step + 1 < steps) keepStatistic(step + 1, next);
    }
    waitForCopies();
    __syncthreads();
    if constexpr (S::first) {
      const auto& to = byQuery ? call.qGrad : call.kGrad;
      const float factor[1][2] = {{call.scale, call.scale}};
      storeRows<1, S::width, typename S::OwnOrder>(sums, factor, own, ownRow, to.of(b, ownHead), to.row, to.packed,
                                                   firstOwn, ownEnd, call.width);
    }
    if constexpr (S::second) {
      const float factor[1][2] = {{call.keptScale, call.keptScale}};
      storeRows<1, S::width, typename S::OwnOrder>(valueSums, factor, own, ownRow, call.vGrad.of(b, ownHead),
                                                   call.vGrad.row, call.vGrad.packed, firstOwn, ownEnd,
                                                   call.valueWidth);
    }
  }
}

template <typename T, typename S>
void launchSums(const AttentionCall<T>& call) {
  const bool byQuery = S::owner == Owner::queries;
  const int64_t blocks = (int64_t{byQuery ? call.queries : call.keys} + S::own - 1) / S::own;
  launch("attentionGrad", sumGradients<T, S>,
         static_cast<unsigned>(blocks * (byQuery ? call.heads : call.keyHeads) * call.batch), S::threads,
         S::sharedBytes, call);
}

/// Kernels of these shapes one after the other; null where one of them does not fit the device.
template <typename T, typename... S>
AttentionLaunch<T> prepared() {
  static_assert(std::max({S::sharedBytes...}) <= kTensorSharedBytes);
  if (std::max({S::sharedBytes...}) > Context::current().sharedBytesPerBlock) return nullptr;
  (allowShared(sumGradients<T, S>, S::sharedBytes), ...);
  return [](const AttentionCall<T>& call) {
    multiplyOutGrad(call);
    (launchSums<T, S>(call), ...);
  };
}

template <typename T>
__global__ void multiplyRows(const __grid_constant__ AttentionCall<T> call) {
  using C = Compute<T>;
  const int lane = threadIdx.x % 32;
  const int64_t rows = int64_t{call.batch} * call.heads * call.queries;
  const int64_t warps = int64_t{gridDim.x} * (blockDim.x / 32);
  for (int64_t row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; row < rows; row += warps) {
    const int query = static_cast<int>(row % call.queries), pair = static_cast<int>(row / call.queries);
    const int h = pair % call.heads, b = pair / call.heads;
    const T* out = call.savedOut.of(b, h) + query * call.savedOut.row;
    const T* outGrad = call.outGrad.of(b, h) + query * call.outGrad.row;
    C sum = 0;
    for (int i = lane; i < call.valueWidth; i += 32) sum += widen(out[i]) * widen(outGrad[i]);
    sum = warpReduce<Sum>(sum);
    if (lane == 0) call.products[row] = sum;
  }
}

}  // namespace

template <typename T>
void multiplyOutGrad(const AttentionCall<T>& call) {
  constexpr unsigned threads = 256;
  launch("attentionGrad", multiplyRows<T>, gridFor(int64_t{call.batch} * call.heads * call.queries, threads / 32),
         threads, 0, call);
}

template <typename T>
AttentionLaunch<T> tensorAttentionGrad(int64_t width) {
  constexpr Owner queries = Owner::queries, keys = Owner::keys;
  if (width <= 64) return prepared<T, Shape<keys, true, true, 64, 4, 64>, Shape<queries, true, false, 64, 4, 64>>();
  if (width <= 128) return prepared<T, Shape<keys, true, true, 128, 4, 32>, Shape<queries, true, false, 128, 4, 32>>();
  return prepared<T, Shape<keys, true, false, 256, 4, 16>, Shape<keys, false, true, 256, 4, 16>,
                  Shape<queries, true, false, 256, 4, 16>>();
}

template void multiplyOutGrad(const AttentionCall<float>& call);
template void multiplyOutGrad(const AttentionCall<double>& call);
template void multiplyOutGrad(const AttentionCall<BFloat16>& call);
template void multiplyOutGrad(const AttentionCall<Float16>& call);
template AttentionLaunch<BFloat16> tensorAttentionGrad(int64_t width);
template AttentionLaunch<Float16> tensorAttentionGrad(int64_t width);

}  // namespace heddle::cuda
