// Op argReduce: the position of the largest or smallest element along an axis; the first of equals, and NaN before all.
// Bound by memory: each element is read once. As no order of comparing changes the result, long axes are cut into as
// many parts as keep the device busy.
#include <limits>
#include <type_traits>

#include "../core/arg_reduce_problem.h"
#include "device/group.h"
#include "device/row.h"
#include "kernels.h"
#include "launch.h"
#include "row_share.h"

namespace heddle::cuda {
namespace {

constexpr int kThreads = 256;
/// Packs that a thread has in flight along rows, and elements along columns.
constexpr int kInFlight = 4;

/// What elements are compared as: small integers as int, for warps exchange no less.
template <typename T>
struct KeyOf {
  using type = Compute<T>;
};
template <>
struct KeyOf<int8_t> {
  using type = int;
};
template <>
struct KeyOf<uint8_t> {
  using type = int;
};
template <typename T>
using Key = typename KeyOf<T>::type;

/// An element and where it is; none yet at kNowhere.
template <typename K>
struct Candidate {
  K value;
  int position;
};
constexpr int kNowhere = INT32_MAX;

/// Whether `a` is found rather than `b`.
template <bool kMax, typename K>
__device__ inline bool precedes(const Candidate<K>& a, const Candidate<K>& b) {
  if (a.position == kNowhere || b.position == kNowhere) return b.position == kNowhere;
  const bool unordered = a.value != a.value, otherUnordered = b.value != b.value;
  if (unordered || otherUnordered) return unordered && (!otherUnordered || a.position < b.position);
  return a.value == b.value ? a.position < b.position : kMax ? a.value > b.value : a.value < b.value;
}

/// What no element is worse than.
template <bool kMax, typename T>
__device__ inline T worst() {
  if constexpr (std::is_integral_v<T>)
    return kMax ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
  else
    return narrow<T>(static_cast<Compute<T>>(kMax ? -INFINITY : INFINITY));
}

/// Goes on to an element behind all that `best` was chosen from. A thread begins with the worst value at the position
/// of its first element, so that one is right if nothing is better.
template <bool kMax, typename K>
__device__ inline void scan(Candidate<K>& best, K value, int position) {
  if (best.value == best.value && !(kMax ? value <= best.value : value >= best.value)) best = {value, position};
}

template <bool kMax, typename K>
__device__ inline void take(Candidate<K>& best, const Candidate<K>& other) {
  if (precedes<kMax>(other, best)) best = other;
}

/// The best of `lanes` neighbours of a warp, at the first of them.
template <bool kMax, typename K>
__device__ inline void bestOfWarp(Candidate<K>& best, int lanes) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    if (distance >= lanes) continue;
    const Candidate<K> other{__shfl_xor_sync(0xffffffffu, best.value, distance),
                             __shfl_xor_sync(0xffffffffu, best.position, distance)};
    take<kMax>(best, other);
  }
}

/// Where a part's result goes: a position where there is one part, else a candidate for the second kernel.
template <typename K>
struct Found {
  int* positions;
  Candidate<K>* candidates;

  __device__ void write(int64_t output, int part, int parts, const Candidate<K>& best) const {
    if (parts == 1)
      positions[output] = best.position;
    else
      candidates[output * parts + part] = best;
  }
};

/// Along rows: a group of threads per part of a row.
template <bool kMax, typename T>
__global__ __launch_bounds__(kMostRowThreads) void findInRows(const T* x, Found<Key<T>> found, int64_t rows, int size,
                                                              int parts, int lanes, bool aligned) {
  using K = Key<T>;
  constexpr int kWidth = kPackWidth<T>;
  __shared__ K values[32];
  __shared__ int positions[32];
  const Group group(lanes);
  const int64_t tasks = rows * parts;
  for (int64_t first = int64_t{blockIdx.x} * group.perBlock; first < tasks;
       first += int64_t{gridDim.x} * group.perBlock) {
    const int64_t task = first + group.index;
    const bool present = task < tasks;
    const int64_t index = task / parts;
    const int part = static_cast<int>(task % parts);
    const RowPacks<T, int64_t> row(index, size, aligned, present);
    const int64_t begin = row.packs() * part / parts, end = row.packs() * (part + 1) / parts;
    const int64_t own = begin + group.lane;
    Candidate<K> best{static_cast<K>(widen(worst<kMax, T>())), kNowhere};
    if (own < end) best.position = static_cast<int>(row.position(own) > 0 ? row.position(own) : 0);
#pragma unroll 1
    for (int64_t start = own; start < end; start += kInFlight * lanes) {
      Words packs[kInFlight];
      // Packs of the next part may come along: they are compared once more.
      row.load(x, start, lanes, worst<kMax, T>(), packs);
#pragma unroll
      for (int p = 0; p < kInFlight; p++) {
        const int position = static_cast<int>(row.position(start + p * lanes));
        const Pack<T> pack = elementsOf<T>(packs[p]);
#pragma unroll
        for (int i = 0; i < kWidth; i++) scan<kMax>(best, static_cast<K>(widen(pack.element[i])), position + i);
      }
    }
    bestOfWarp<kMax>(best, lanes);
    if (lanes > 32) {
      const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
      if (lane == 0) {
        values[warp] = best.value;
        positions[warp] = best.position;
      }
      __syncthreads();
      best = lane < warps ? Candidate<K>{values[lane], positions[lane]} : Candidate<K>{K{}, kNowhere};
      bestOfWarp<kMax>(best, 32);
      __syncthreads();
    }
    if (group.lane == 0 && present) found.write(index, part, parts, best);
  }
}

/// Along an axis with elements behind it: threads side by side take neighbouring columns, the others of a block take
/// turns along the axis.
template <bool kMax, typename T>
__global__ __launch_bounds__(kThreads, 1) void findInColumns(const T* x, Found<Key<T>> found, int64_t outer, int size,
                                                             int64_t inner, int parts) {
  using K = Key<T>;
  __shared__ K values[kThreads];
  __shared__ int positions[kThreads];
  const int64_t tiles = (inner + blockDim.x - 1) / blockDim.x;
  const int self = threadIdx.y * blockDim.x + threadIdx.x;
  for (int64_t task = blockIdx.x; task < outer * tiles * parts; task += gridDim.x) {
    const int part = static_cast<int>(task % parts);
    const int64_t tile = task / parts % tiles, block = task / parts / tiles;
    const int64_t column = tile * blockDim.x + threadIdx.x;
    const int begin = static_cast<int>(int64_t{size} * part / parts);
    const int end = static_cast<int>(int64_t{size} * (part + 1) / parts);
    Candidate<K> best{static_cast<K>(widen(worst<kMax, T>())), kNowhere};
    if (column < inner) {
      const T* from = x + block * size * inner + column;
      if (begin + static_cast<int>(threadIdx.y) < end) best.position = begin + static_cast<int>(threadIdx.y);
#pragma unroll 1
      for (int64_t start = begin + static_cast<int>(threadIdx.y); start < end; start += kInFlight * blockDim.y) {
        T elements[kInFlight];
#pragma unroll
        for (int i = 0; i < kInFlight; i++) {
          const int64_t at = start + i * blockDim.y;
          elements[i] = at < end ? from[at * inner] : worst<kMax, T>();
        }
#pragma unroll
        for (int i = 0; i < kInFlight; i++)
          scan<kMax>(best, static_cast<K>(widen(elements[i])), static_cast<int>(start + i * blockDim.y));
      }
    }
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
      values[self] = best.value;
      positions[self] = best.position;
      __syncthreads();
      const int other = self + half * static_cast<int>(blockDim.x);
      if (static_cast<int>(threadIdx.y) < half) take<kMax>(best, Candidate<K>{values[other], positions[other]});
      __syncthreads();
    }
    if (threadIdx.y == 0 && column < inner) found.write(block * inner + column, part, parts, best);
  }
}

/// The best of each output's parts: a warp per output.
template <bool kMax, typename K>
__global__ __launch_bounds__(kThreads) void joinParts(const Candidate<K>* candidates, int* positions, int64_t outputs,
                                                      int parts) {
  const int lane = threadIdx.x % 32;
  const int64_t step = int64_t{gridDim.x} * (kThreads / 32);
  for (int64_t output = int64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32; output < outputs; output += step) {
    Candidate<K> best{K{}, kNowhere};
    for (int part = lane; part < parts; part += 32) take<kMax>(best, candidates[output * parts + part]);
    bestOfWarp<kMax>(best, 32);
    if (lane == 0) positions[output] = best.position;
  }
}

template <bool kMax, typename T>
class ArgReduce : public Kernel {
  using K = Key<T>;

 public:
  ArgReduce(int64_t outer, int64_t size, int64_t inner) : outer_(outer), size_(size), inner_(inner) {
    share_ = shareWalkedRow(packsOf(size, kPackWidth<T>), kInFlight);
    // Columns narrower than a warp leave more threads to the axis.
    width_ = static_cast<unsigned>(std::bit_ceil(static_cast<uint64_t>(std::clamp(inner, int64_t{1}, int64_t{32}))));
    const int64_t tasks = inner == 1 ? (outer + share_.rowsPerBlock() - 1) / share_.rowsPerBlock()
                                     : outer * ((inner + width_ - 1) / width_);
    // Enough blocks to fill the device, each with enough of the axis to be worth a second kernel.
    const int64_t wanted = int64_t{Context::current().multiprocessors} * 4;
    if (tasks > 0 && tasks < wanted)
      parts_ = static_cast<int>(std::clamp(size / 8192, int64_t{1}, (wanted + tasks - 1) / tasks));
  }

  size_t workspaceBytes() const override {
    return parts_ == 1 ? 0 : static_cast<size_t>(outer_ * inner_ * parts_) * sizeof(Candidate<K>);
  }

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    const Found<K> found{static_cast<int*>(operands.outputs[0]), static_cast<Candidate<K>*>(operands.workspace)};
    const int size = static_cast<int>(size_);
    if (inner_ == 1) {
      launch("argReduce", findInRows<kMax, T>, share_.blocks(outer_ * parts_), share_.threads(), 0, x, found, outer_,
             size, parts_, share_.lanes, packAligned(x));
    } else {
      const int64_t tasks = outer_ * ((inner_ + width_ - 1) / width_) * parts_;
      launch("argReduce", findInColumns<kMax, T>, gridFor(tasks, 1), dim3(width_, kThreads / width_), 0, x, found,
             outer_, size, inner_, parts_);
    }
    if (parts_ > 1)
      launch("argReduce", joinParts<kMax, K>, gridFor(outer_ * inner_, kThreads / 32), kThreads, 0, found.candidates,
             found.positions, outer_ * inner_, parts_);
  }

 private:
  const int64_t outer_, size_, inner_;
  RowShare share_;
  unsigned width_;  // columns of a block
  int parts_ = 1;
};

std::unique_ptr<Kernel> makeArgReduce(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "argReduce";
  const ArgReduceParams params = ArgReduceParams::read(words);
  const ArgReduceProblem p = readArgReduce(params, in, out);
  return dispatchAny(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    if (params.kind == ArgReduceParams::Kind::max)
      return std::make_unique<ArgReduce<true, T>>(p.outer, p.size, p.inner);
    return std::make_unique<ArgReduce<false, T>>(p.outer, p.size, p.inner);
  });
}

}  // namespace

void registerArgReduce(KernelTable& table) { table.add(OpId::argReduce, makeArgReduce); }

}  // namespace heddle::cuda
