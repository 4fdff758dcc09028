// Tiles of attention on tensor cores: rows of 16-bit floats in shared memory, their products, and which score of which
// query and key a lane holds.
#pragma once

#include "attention_score.h"
#include "mma.h"
#include "pack.h"

namespace heddle::cuda {

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

/// Which row of an operand lies in row `r` of a tile. Any order within 16 rows will do for a product's sums, so keys
/// lie such that a lane's scores are of neighbouring keys: of what is read or drawn for them several come at once.
struct InOrder {
  __device__ static constexpr int row(int r) { return r; }
};
/// Keys as columns: the four that a lane holds of a row in two sums [16][8] are neighbours.
struct InQuads {
  __device__ static constexpr int row(int r) { return (r & ~15) + 4 * (r >> 1 & 3) + 2 * (r >> 3 & 1) + (r & 1); }
};
/// Keys as rows: the two that a lane holds of a column are neighbours.
struct InPairs {
  __device__ static constexpr int row(int r) { return (r & ~15) + 2 * (r & 7) + (r >> 3 & 1); }
};

/// Where 16 bytes of a tile's row lie, in elements: exchanged by row, so that 8 rows' are in different banks.
template <int width>
__device__ inline int tileOffset(int row, int chunk) {
  return row * width + ((chunk ^ (row & 7)) << 3);
}

/// Starts loading rows [first, first + rows) of an operand, zeros from `end` on, and of each row the features up to a
/// multiple of 16. They are there for all after `waitForCopies` and a barrier.
template <int rows, int width, int threads, typename Order, typename T>
__device__ inline void loadTile(T* tile, const T* from, int64_t stride, bool packed, int first, int end, int features) {
  constexpr int chunks = width / 8;
  static_assert(threads % chunks == 0);
  const int chunk = threadIdx.x % chunks;
  if (chunk >= (features + 15) / 16 * 2) return;
    // Not unrolled: copies do not wait, and addresses would take registers from the sums.
#pragma unroll 1
  for (int row = threadIdx.x / chunks; row < rows; row += threads / chunks) {
    const int source = first + Order::row(row);
    T* to = tile + tileOffset<width>(row, chunk);
    const T* element = from + source * stride + chunk * 8;
    const int present = source < end ? features - chunk * 8 : 0;
    if (packed) {
      copyAsync(to, element, present > 0);
    } else {
      Pack<T> pack;
#pragma unroll
      for (int e = 0; e < 8; e++) pack.element[e] = e < present ? element[e] : T{0};
      *reinterpret_cast<Pack<T>*>(to) = pack;
    }
  }
}

/// Writes a warp's rows of sums times `factor[i][half]`, by way of the tile they are rows `ownRow` on of, which only
/// this warp reads. The tile's row 0 is the operand's row `first`.
template <int rowTiles, int width, typename Order, typename T>
__device__ inline void storeRows(const float (&sums)[rowTiles][width / 8][4], const float (&factor)[rowTiles][2],
                                 T* tile, int ownRow, T* to, int64_t stride, bool packed, int first, int end,
                                 int features) {
  const int lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  __syncwarp();
#pragma unroll
  for (int i = 0; i < rowTiles; i++)
#pragma unroll
    for (int n = 0; n < width / 8; n++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int row = ownRow + 16 * i + 8 * half + g;
        *reinterpret_cast<unsigned*>(tile + tileOffset<width>(row, n) + 2 * c) =
            packPair<T>(sums[i][n][2 * half] * factor[i][half], sums[i][n][2 * half + 1] * factor[i][half]);
      }
  __syncwarp();
  const int chunks = (features + 7) / 8;
  for (int i = lane; i < rowTiles * 16 * (width / 8); i += 32) {
    const int row = ownRow + i / (width / 8), chunk = i % (width / 8);
    const int target = first + Order::row(row);
    if (chunk >= chunks || target >= end) continue;
    T* element = to + target * stride + chunk * 8;
    const Pack<T> pack = *reinterpret_cast<const Pack<T>*>(tile + tileOffset<width>(row, chunk));
    if (packed) {
      *reinterpret_cast<Pack<T>*>(element) = pack;
    } else {
#pragma unroll
      for (int e = 0; e < 8; e++)
        if (chunk * 8 + e < features) element[e] = pack.element[e];
    }
  }
}

/// sums[i][n] += the tile `left`'s rows from `ownRow + 16 i` on, times the rows from 8 n on of `right`, transposed.
template <int width, int rowTiles, int columnTiles, typename T>
__device__ inline void multiplyByRows(float (&sums)[rowTiles][columnTiles][4], const T* left, int ownRow,
                                      const T* right, int features) {
  const int lane = threadIdx.x % 32;
#pragma unroll 2
  for (int k = 0; k < width / 16; k++) {
    if (16 * k >= features) break;
    unsigned a[rowTiles][4];
#pragma unroll
    for (int i = 0; i < rowTiles; i++)
      loadMatrices<false>(a[i], left + tileOffset<width>(ownRow + 16 * i + lane % 16, 2 * k + lane / 16));
#pragma unroll
    for (int n = 0; n < columnTiles; n += 2) {
      unsigned b[4];
      loadMatrices<false>(b, right + tileOffset<width>(8 * n + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
#pragma unroll
      for (int i = 0; i < rowTiles; i++) {
        multiplyAdd<T>(sums[i][n], a[i], b[0], b[1]);
        multiplyAdd<T>(sums[i][n + 1], a[i], b[2], b[3]);
      }
    }
  }
}

/// Sums as the left block of another product: the lanes already hold what it takes.
template <int rowTiles, int columnTiles, typename T>
struct Weights {
  unsigned words[rowTiles][columnTiles / 2][4];

  __device__ explicit Weights(const float (&sums)[rowTiles][columnTiles][4]) {
#pragma unroll
    for (int i = 0; i < rowTiles; i++)
#pragma unroll
      for (int n = 0; n < columnTiles; n++)
#pragma unroll
        for (int half = 0; half < 2; half++)
          words[i][n / 2][n % 2 * 2 + half] = packPair<T>(sums[i][n][2 * half], sums[i][n][2 * half + 1]);
  }
};

/// sums[i] += the weights' rows 16 i on, times the tile `right`.
template <int width, int rowTiles, int columnTiles, typename T>
__device__ inline void multiplyByColumns(float (&sums)[rowTiles][width / 8][4],
                                         const Weights<rowTiles, columnTiles, T>& weights, const T* right,
                                         int features) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < columnTiles / 2; k++)
#pragma unroll
    for (int n = 0; n < width / 8; n += 2) {
      if (8 * n >= features) continue;
      unsigned b[4];
      loadMatrices<true>(b, right + tileOffset<width>(16 * k + lane % 16, n + lane / 16));
#pragma unroll
      for (int i = 0; i < rowTiles; i++) {
        multiplyAdd<T>(sums[i][n], weights.words[i][k], b[0], b[1]);
        multiplyAdd<T>(sums[i][n + 1], weights.words[i][k], b[2], b[3]);
      }
    }
}

/// The places of a lane's scores, from those of its first: rows are queries, columns keys `InQuads`.
template <int rowTiles, int columnTiles>
struct QueriesByKeys {
  static constexpr int rowTiles_ = rowTiles, columnTiles_ = columnTiles;
  __device__ static int firstQuery(int lane) { return lane / 4; }
  __device__ static int firstKey(int lane) { return 4 * (lane % 4); }
  __device__ static constexpr int query(int i, int, int x) { return 16 * i + 8 * (x / 2); }
  __device__ static constexpr int key(int, int n, int x) { return 16 * (n / 2) + 2 * (n % 2) + x % 2; }

  /// Neighbouring keys of one query come in runs; `bit` is the place of a score in them, run after run.
  static constexpr int runs = rowTiles * columnTiles, runLength = 4;
  __device__ static constexpr int runQuery(int run) { return 8 * (run / (columnTiles / 2)); }
  __device__ static constexpr int runKey(int run) { return run % (columnTiles / 2) * 16; }
  __device__ static constexpr int bit(int i, int n, int x) {
    return ((2 * i + x / 2) * (columnTiles / 2) + n / 2) * 4 + n % 2 * 2 + x % 2;
  }
};

/// The same where rows are keys `InPairs` and columns queries.
template <int rowTiles, int columnTiles>
struct KeysByQueries {
  static constexpr int rowTiles_ = rowTiles, columnTiles_ = columnTiles;
  __device__ static int firstQuery(int lane) { return 2 * (lane % 4); }
  __device__ static int firstKey(int lane) { return 2 * (lane / 4); }
  __device__ static constexpr int query(int, int n, int x) { return 8 * n + x % 2; }
  __device__ static constexpr int key(int i, int, int x) { return 16 * i + x / 2; }

  static constexpr int runs = rowTiles * columnTiles * 2, runLength = 2;
  __device__ static constexpr int runQuery(int run) { return run / 2 % columnTiles * 8 + run % 2; }
  __device__ static constexpr int runKey(int run) { return run / 2 / columnTiles * 16; }
  __device__ static constexpr int bit(int i, int n, int x) { return ((i * columnTiles + n) * 2 + x % 2) * 2 + x / 2; }
};

/// Calls `visit(i, n, x)` for each score of a lane.
template <typename Places, typename Visit>
__device__ inline void forEachScore(Visit&& visit) {
#pragma unroll
  for (int i = 0; i < Places::rowTiles_; i++)
#pragma unroll
    for (int n = 0; n < Places::columnTiles_; n++)
#pragma unroll
      for (int x = 0; x < 4; x++) visit(i, n, x);
}

/// Products of queries and keys become the scores whose powers of 2 are the weights, -inf where a key is not seen.
/// `query` and `key` are those of the lane's first score; `edge` says whether causality hides any, or the operands'
/// end.
template <typename Places, bool masks, int rowTiles, int columnTiles, typename T>
__device__ inline void finishScores(float (&scores)[rowTiles][columnTiles][4], const AttentionCall<T>& call, int b,
                                    int h, int query, int key, bool edge) {
  const float scale = call.scale * kLog2E;
  forEachScore<Places>([&](int i, int n, int x) { scores[i][n][x] *= scale; });
  if constexpr (masks) {
    if (call.mask.data)
      withMask(call.mask, b * call.mask.strides[0] + h * call.mask.strides[1], [&](auto* mask) {
        forEachScore<Places>([&](int i, int n, int x) {
          const int row = query + Places::query(i, n, x), column = key + Places::key(i, n, x);
          if (row < call.queries && column < call.keys)
            scores[i][n][x] =
                masked(scores[i][n][x], mask[row * call.mask.strides[2] + column * call.mask.strides[3]], kLog2E);
        });
      });
  }
  if (edge)
    forEachScore<Places>([&](int i, int n, int x) {
      const int row = query + Places::query(i, n, x), column = key + Places::key(i, n, x);
      if (column >= call.visibleKeys(row) || row >= call.queries) scores[i][n][x] = -INFINITY;
    });
}

/// Which of a lane's weights dropout keeps, by `Places::bit`.
template <typename Places, typename T>
__device__ inline unsigned long long keptWeights(const AttentionCall<T>& call, int b, int h, int query, int key) {
  const DropoutStream stream(call.dropout);
  unsigned long long kept = 0;
#pragma unroll 1
  for (int run = 0; run < Places::runs; run++) {
    const auto position = weightPosition(call, b, h, query + Places::runQuery(run), key + Places::runKey(run));
    const unsigned bits = stream.kept(position, Places::runLength) & ((1u << Places::runLength) - 1);
    kept |= static_cast<unsigned long long>(bits) << (run * Places::runLength);
  }
  return kept;
}

}  // namespace heddle::cuda
