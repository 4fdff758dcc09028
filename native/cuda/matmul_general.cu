// Matmul for what cuBLASLt has no algorithm for: integers, strides it can not describe, k = 0, and small problems.
// Square tiles of both operands go through shared memory, 16 deep; each element is one sum along k, in order. Bound by
// multiplications outside tensor cores, and where tiles are small by reads of shared memory, two per multiplication.
#include "device/activation.h"
#include "device/scalar.h"
#include "launch.h"
#include "matmul.h"

namespace heddle::cuda {
namespace {

constexpr int kMostBatchAxes = 14;
constexpr int kDepth = 16;
constexpr int kThreads = 256;

struct TileProblem {
  int64_t m, n, k;
  int64_t rowTiles, columnTiles, tiles;
  int64_t aRow, aColumn, bRow, bColumn;
  int batchAxes;
  int64_t batch[kMostBatchAxes], aBatch[kMostBatchAxes], bBatch[kMostBatchAxes];
  Activation activation;
};

/// Out of line: each thread ends with it up to 16 times, whichever of them all it is.
template <typename C>
__device__ __noinline__ C activateOutOfLine(Activation activation, C x) {
  return activate(activation, x);
}

/// What sums are kept in. Integers as unsigned numbers: an overflow wraps, and narrowing keeps the low bits.
template <typename T>
struct SumOf {
  using type = Compute<T>;
  __device__ static type from(T x) { return widen(x); }
  __device__ static T finish(type sum, Activation activation) {
    return narrow<T>(activation == Activation::none ? sum : activateOutOfLine(activation, sum));
  }
};
template <typename T, typename S>
struct IntegerSum {
  using type = S;
  __device__ static S from(T x) { return static_cast<S>(x); }
  // Of the activations only relu is one for integers, as on the CPU.
  __device__ static T finish(S sum, Activation activation) {
    const T value = static_cast<T>(sum);
    return activation == Activation::relu && !(value > T(0)) ? T(0) : value;
  }
};
template <>
struct SumOf<int8_t> : IntegerSum<int8_t, uint32_t> {};
template <>
struct SumOf<uint8_t> : IntegerSum<uint8_t, uint32_t> {};
template <>
struct SumOf<int32_t> : IntegerSum<int32_t, uint32_t> {};
template <>
struct SumOf<int64_t> : IntegerSum<int64_t, uint64_t> {};

/// A tile of `extent` lines by kDepth, as [depth][line]; zeros outside. `lineStride` and `depthStride` lead from one
/// element to the next; threads go along the smaller one.
template <typename T, int extent>
__device__ void loadTile(const T* from, int64_t lines, int64_t depth, int64_t lineStride, int64_t depthStride,
                         typename SumOf<T>::type (*to)[extent + 1]) {
  const bool depthFirst = depthStride == 1;
#pragma unroll
  for (int part = 0; part < extent * kDepth / kThreads; part++) {
    const int index = part * kThreads + static_cast<int>(threadIdx.x);
    const int line = depthFirst ? index / kDepth : index % extent;
    const int deep = depthFirst ? index % kDepth : index / extent;
    typename SumOf<T>::type value = 0;
    if (line < lines && deep < depth) value = SumOf<T>::from(from[line * lineStride + deep * depthStride]);
    to[deep][line] = value;
  }
}

/// Each thread keeps `each` by `each` sums of a tile of `extent` by `extent`.
template <typename T, int extent>
__global__ void __launch_bounds__(kThreads)
    multiplyTiles(const T* a, const T* b, const T* bias, T* out, const __grid_constant__ TileProblem p) {
  using Sum = SumOf<T>;
  using S = typename Sum::type;
  constexpr int side = 16, each = extent / side;
  __shared__ S left[kDepth][extent + 1], right[kDepth][extent + 1];
  const int column = threadIdx.x % side, row = threadIdx.x / side;
  for (int64_t tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
    const int64_t firstColumn = tile % p.columnTiles * extent;
    const int64_t above = tile / p.columnTiles;
    const int64_t firstRow = above % p.rowTiles * extent, batch = above / p.rowTiles;
    const T* tileA = a + firstRow * p.aRow;
    const T* tileB = b + firstColumn * p.bColumn;
    int64_t rest = batch;
#pragma unroll 1
    for (int axis = p.batchAxes - 1; axis >= 0; axis--) {
      const int64_t index = rest % p.batch[axis];
      rest /= p.batch[axis];
      tileA += index * p.aBatch[axis];
      tileB += index * p.bBatch[axis];
    }
    S sums[each][each] = {};
    for (int64_t deep = 0; deep < p.k; deep += kDepth) {
      loadTile<T, extent>(tileA + deep * p.aColumn, p.m - firstRow, p.k - deep, p.aRow, p.aColumn, left);
      loadTile<T, extent>(tileB + deep * p.bRow, p.n - firstColumn, p.k - deep, p.bColumn, p.bRow, right);
      __syncthreads();
#pragma unroll
      for (int d = 0; d < kDepth; d++) {
        S x[each], y[each];
#pragma unroll
        for (int i = 0; i < each; i++) x[i] = left[d][row + i * side];
#pragma unroll
        for (int j = 0; j < each; j++) y[j] = right[d][column + j * side];
#pragma unroll
        for (int i = 0; i < each; i++)
#pragma unroll
          for (int j = 0; j < each; j++) sums[i][j] += x[i] * y[j];
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < each; i++) {
      const int64_t outRow = firstRow + row + i * side;
      if (outRow >= p.m) continue;
#pragma unroll
      for (int j = 0; j < each; j++) {
        const int64_t outColumn = firstColumn + column + j * side;
        if (outColumn >= p.n) continue;
        S sum = sums[i][j];
        if (bias) sum += Sum::from(bias[outColumn]);
        out[(batch * p.m + outRow) * p.n + outColumn] = Sum::finish(sum, p.activation);
      }
    }
  }
}

template <typename T>
class MatmulGeneral : public Kernel {
 public:
  explicit MatmulGeneral(const MatmulProblem& problem) : hasBias_(problem.hasBias) {
    large_ = problem.m > 16 && problem.n > 16;
    const int64_t extent = large_ ? 64 : 16;
    p_.m = problem.m;
    p_.n = problem.n;
    p_.k = problem.k;
    p_.rowTiles = (problem.m + extent - 1) / extent;
    p_.columnTiles = (problem.n + extent - 1) / extent;
    p_.tiles = problem.batchSize() * p_.rowTiles * p_.columnTiles;
    p_.aRow = problem.a.rowStride;
    p_.aColumn = problem.a.columnStride;
    p_.bRow = problem.b.rowStride;
    p_.bColumn = problem.b.columnStride;
    p_.batchAxes = static_cast<int>(problem.batch.size());
    for (size_t axis = 0; axis < problem.batch.size(); axis++) {
      p_.batch[axis] = problem.batch[axis];
      p_.aBatch[axis] = problem.a.batchStrides[axis];
      p_.bBatch[axis] = problem.b.batchStrides[axis];
    }
    p_.activation = problem.activation;
  }

  void run(const RunOperands& operands) override {
    launch("matmul", large_ ? multiplyTiles<T, 64> : multiplyTiles<T, 16>, gridFor(p_.tiles, 1), kThreads, 0,
           static_cast<const T*>(operands.inputs[0]), static_cast<const T*>(operands.inputs[1]),
           hasBias_ ? static_cast<const T*>(operands.inputs[2]) : nullptr, static_cast<T*>(operands.outputs[0]), p_);
  }

 private:
  const bool hasBias_;
  bool large_;
  TileProblem p_{};
};

}  // namespace

std::unique_ptr<Kernel> makeMatmulGeneral(const MatmulProblem& problem) {
  if (problem.batch.size() > kMostBatchAxes)
    throw Error(ErrorCode::unsupported, "matmul: more than 14 batch axes that cannot be merged; reshape the operands");
  return dispatchAny("matmul", problem.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<MatmulGeneral<typename decltype(tag)::type>>(problem);
  });
}

}  // namespace heddle::cuda
