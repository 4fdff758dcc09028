// Ops softmax, logSoftmax and their gradients, over the contiguous last axis. Bound by memory: each operand's bytes
// cross it once where a row stays in registers. Longer rows are read twice, the second time mostly from the L2 cache.
#include "../core/softmax_problem.h"
#include "device/online.h"
#include "device/row.h"
#include "device/scalar.h"
#include "kernels.h"
#include "launch.h"
#include "row_share.h"

namespace heddle::cuda {
namespace {

/// Packs that a thread of the walking kernels has in flight.
template <typename T>
constexpr int kInFlight = sizeof(T) == 8 ? 2 : 4;
/// Packs of an operand that a thread of the others holds at most: forward the elements are held widened, backward there
/// are two operands.
template <typename T>
constexpr int kMostHeld = sizeof(T) == 4 ? 8 : 4;
template <typename T>
constexpr int kMostHeldGrad = sizeof(T) == 8 ? 2 : 4;

template <typename T>
__device__ inline T lowest() {
  return narrow<T>(static_cast<Compute<T>>(-INFINITY));
}

template <bool kLogarithm, typename T, int kPacks>
__global__ __launch_bounds__(heldRowThreads(kPacks, kMostHeld<T>),
                             kLeastRowBlocks<T>) void softmaxHeld(const T* x, T* y, int64_t rows, int64_t size,
                                                                  int lanes, bool aligned) {
  using C = Compute<T>;
  using Row = RowPacks<T, int>;
  __shared__ C scratch[32];
  const Group group(lanes);
  for (int64_t first = int64_t{blockIdx.x} * group.perBlock; first < rows;
       first += int64_t{gridDim.x} * group.perBlock) {
    const Row row(first + group.index, static_cast<int>(size), aligned, first + group.index < rows);
    Words packs[kPacks];
    row.load(x, group.lane, lanes, lowest<T>(), packs);
    C values[kPacks * Row::width];
    widenAll<T>(packs, values);
    C peak = -INFINITY;
#pragma unroll
    for (C value : values) peak = fmax(peak, value);
    peak = groupReduce<Greatest>(peak, static_cast<C>(-INFINITY), lanes, scratch);
    C total = 0;
#pragma unroll
    for (C& value : values) {
      const C moved = value - peak, power = exp(moved);
      total += power;
      value = kLogarithm ? moved : power;
    }
    total = groupReduce<Sum>(total, C(0), lanes, scratch);
    const C scale = kLogarithm ? log(total) : 1 / total;
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      Pack<T> pack;
#pragma unroll
      for (int i = 0; i < Row::width; i++) {
        const C value = values[p * Row::width + i];
        pack.element[i] = narrow<T>(kLogarithm ? value - scale : value * scale);
      }
      packs[p] = wordsOf(pack);
    }
    row.store(y, group.lane, lanes, packs);
  }
}

template <bool kLogarithm, typename T>
__global__ __launch_bounds__(kMostRowThreads, kLeastRowBlocks<T>) void softmaxWalked(const T* x, T* y, int64_t rows,
                                                                                     int64_t size, int lanes,
                                                                                     bool aligned) {
  using C = Compute<T>;
  using Row = RowPacks<T, int64_t>;
  constexpr int kPacks = kInFlight<T>;
  __shared__ C scratch[32];
  const Group group(lanes);
  for (int64_t index = blockIdx.x; index < rows; index += gridDim.x) {
    const Row row(index, size, aligned);
    Words packs[kPacks];
    OnlineSoftmax<C> online;
#pragma unroll 1
    for (int64_t first = group.lane; first < row.packs(); first += kPacks * lanes) {
      row.load(x, first, lanes, lowest<T>(), packs);
      C values[kPacks * Row::width];
      widenAll<T>(packs, values);
      online.add(values);
    }
    online.finish(lanes, scratch);
    const C scale = kLogarithm ? log(online.total) : 1 / online.total;
#pragma unroll 1
    for (int64_t first = group.lane; first < row.packs(); first += kPacks * lanes) {
      row.load(x, first, lanes, lowest<T>(), packs);
#pragma unroll
      for (Words& words : packs) {
        Pack<T> pack = elementsOf<T>(words);
#pragma unroll
        for (T& element : pack.element) {
          const C moved = widen(element) - online.peak;
          element = narrow<T>(kLogarithm ? moved - scale : exp(moved) * scale);
        }
        words = wordsOf(pack);
      }
      row.store(y, first, lanes, packs);
    }
  }
}

/// Of a row's packs of results and of their cotangents: what they add to the row's sum, and their gradients given that
/// sum, in place of the cotangents.
template <bool kLogarithm, typename T, int kPacks>
__device__ inline Compute<T> shareOfSum(const Words (&y)[kPacks], const Words (&dy)[kPacks]) {
  Compute<T> sum = 0;
#pragma unroll
  for (int p = 0; p < kPacks; p++) {
    const Pack<T> results = elementsOf<T>(y[p]), slopes = elementsOf<T>(dy[p]);
#pragma unroll
    for (int i = 0; i < kPackWidth<T>; i++) {
      const Compute<T> slope = widen(slopes.element[i]);
      sum += kLogarithm ? slope : slope * widen(results.element[i]);
    }
  }
  return sum;
}
template <bool kLogarithm, typename T, int kPacks>
__device__ inline void makeGradients(const Words (&y)[kPacks], Words (&dy)[kPacks], Compute<T> sum) {
#pragma unroll
  for (int p = 0; p < kPacks; p++) {
    const Pack<T> results = elementsOf<T>(y[p]);
    Pack<T> slopes = elementsOf<T>(dy[p]);
#pragma unroll
    for (int i = 0; i < kPackWidth<T>; i++) {
      const Compute<T> value = widen(results.element[i]), slope = widen(slopes.element[i]);
      slopes.element[i] = narrow<T>(kLogarithm ? slope - exp(value) * sum : value * (slope - sum));
    }
    dy[p] = wordsOf(slopes);
  }
}

template <bool kLogarithm, typename T, int kPacks>
__global__ __launch_bounds__(heldRowThreads(kPacks, kMostHeldGrad<T>),
                             kLeastRowBlocks<T>) void softmaxGradHeld(const T* y, const T* dy, T* dx, int64_t rows,
                                                                      int64_t size, int lanes, bool aligned) {
  using C = Compute<T>;
  __shared__ C scratch[32];
  const Group group(lanes);
  for (int64_t first = int64_t{blockIdx.x} * group.perBlock; first < rows;
       first += int64_t{gridDim.x} * group.perBlock) {
    const RowPacks<T, int> row(first + group.index, static_cast<int>(size), aligned, first + group.index < rows);
    Words results[kPacks], slopes[kPacks];
    row.load(y, group.lane, lanes, narrow<T>(0), results);
    row.load(dy, group.lane, lanes, narrow<T>(0), slopes);
    const C sum = groupReduce<Sum>(shareOfSum<kLogarithm, T>(results, slopes), C(0), lanes, scratch);
    makeGradients<kLogarithm, T>(results, slopes, sum);
    row.store(dx, group.lane, lanes, slopes);
  }
}

template <bool kLogarithm, typename T>
__global__ __launch_bounds__(kMostRowThreads, kLeastRowBlocks<T>) void softmaxGradWalked(const T* y, const T* dy, T* dx,
                                                                                         int64_t rows, int64_t size,
                                                                                         int lanes, bool aligned) {
  using C = Compute<T>;
  constexpr int kPacks = kInFlight<T> / 2;
  __shared__ C scratch[32];
  const Group group(lanes);
  for (int64_t index = blockIdx.x; index < rows; index += gridDim.x) {
    const RowPacks<T, int64_t> row(index, size, aligned);
    Words results[kPacks], slopes[kPacks];
    C sum = 0;
#pragma unroll 1
    for (int64_t first = group.lane; first < row.packs(); first += kPacks * lanes) {
      row.load(y, first, lanes, narrow<T>(0), results);
      row.load(dy, first, lanes, narrow<T>(0), slopes);
      sum += shareOfSum<kLogarithm, T>(results, slopes);
    }
    sum = groupReduce<Sum>(sum, C(0), lanes, scratch);
#pragma unroll 1
    for (int64_t first = group.lane; first < row.packs(); first += kPacks * lanes) {
      row.load(y, first, lanes, narrow<T>(0), results);
      row.load(dy, first, lanes, narrow<T>(0), slopes);
      makeGradients<kLogarithm, T>(results, slopes, sum);
      row.store(dx, first, lanes, slopes);
    }
  }
}

template <typename T>
using Forward = void (*)(const T* x, T* y, int64_t rows, int64_t size, int lanes, bool aligned);
template <typename T>
using Backward = void (*)(const T* y, const T* dy, T* dx, int64_t rows, int64_t size, int lanes, bool aligned);

template <bool kLogarithm, typename T>
Forward<T> forwardFor(int packs) {
  if (packs == 2) return softmaxHeld<kLogarithm, T, 2>;
  if (packs == 4) return softmaxHeld<kLogarithm, T, 4>;
  if constexpr (kMostHeld<T> == 8)
    if (packs == 8) return softmaxHeld<kLogarithm, T, 8>;
  return softmaxWalked<kLogarithm, T>;
}

template <bool kLogarithm, typename T>
Backward<T> backwardFor(int packs) {
  if (packs == 2) return softmaxGradHeld<kLogarithm, T, 2>;
  if constexpr (kMostHeldGrad<T> == 4)
    if (packs == 4) return softmaxGradHeld<kLogarithm, T, 4>;
  return softmaxGradWalked<kLogarithm, T>;
}

template <bool kLogarithm, typename T>
class Softmax : public Kernel {
 public:
  explicit Softmax(SoftmaxRows rows) : rows_(rows) {
    const int64_t packs = packsOf(rows.size, kPackWidth<T>);
    share_ = shareHeldRow(packs, kMostHeld<T>);
    kernel_ = forwardFor<kLogarithm, T>(share_.packs);
    if (share_.packs == 0) share_ = shareWalkedRow(packs, kInFlight<T>);
  }
  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* y = static_cast<T*>(operands.outputs[0]);
    const bool aligned = packAligned(x) && packAligned(y);
    launch(kLogarithm ? "logSoftmax" : "softmax", kernel_, share_.blocks(rows_.count), share_.threads(), 0, x, y,
           rows_.count, rows_.size, share_.lanes, aligned);
  }

 private:
  const SoftmaxRows rows_;
  RowShare share_;
  Forward<T> kernel_;
};

template <bool kLogarithm, typename T>
class SoftmaxGrad : public Kernel {
 public:
  explicit SoftmaxGrad(SoftmaxRows rows) : rows_(rows) {
    const int64_t packs = packsOf(rows.size, kPackWidth<T>);
    share_ = shareHeldRow(packs, kMostHeldGrad<T>);
    kernel_ = backwardFor<kLogarithm, T>(share_.packs);
    if (share_.packs == 0) share_ = shareWalkedRow(packs, kInFlight<T> / 2);
  }
  void run(const RunOperands& operands) override {
    const auto* y = static_cast<const T*>(operands.inputs[0]);
    const auto* dy = static_cast<const T*>(operands.inputs[1]);
    auto* dx = static_cast<T*>(operands.outputs[0]);
    const bool aligned = packAligned(y) && packAligned(dy) && packAligned(dx);
    launch(kLogarithm ? "logSoftmaxGrad" : "softmaxGrad", kernel_, share_.blocks(rows_.count), share_.threads(), 0, y,
           dy, dx, rows_.count, rows_.size, share_.lanes, aligned);
  }

 private:
  const SoftmaxRows rows_;
  RowShare share_;
  Backward<T> kernel_;
};

template <bool kLogarithm>
std::unique_ptr<Kernel> makeForward(WordReader&, Specs inputs, Specs outputs) {
  const char* op = kLogarithm ? "logSoftmax" : "softmax";
  const SoftmaxRows rows = readSoftmaxRows(op, inputs, 1, outputs);
  return dispatchFloat(op, inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<Softmax<kLogarithm, typename decltype(tag)::type>>(rows);
  });
}

template <bool kLogarithm>
std::unique_ptr<Kernel> makeGrad(WordReader&, Specs inputs, Specs outputs) {
  const char* op = kLogarithm ? "logSoftmaxGrad" : "softmaxGrad";
  const SoftmaxRows rows = readSoftmaxRows(op, inputs, 2, outputs);
  return dispatchFloat(op, inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<SoftmaxGrad<kLogarithm, typename decltype(tag)::type>>(rows);
  });
}

}  // namespace

void registerSoftmax(KernelTable& table) {
  table.add(OpId::softmax, makeForward<false>);
  table.add(OpId::softmaxGrad, makeGrad<false>);
  table.add(OpId::logSoftmax, makeForward<true>);
  table.add(OpId::logSoftmaxGrad, makeGrad<true>);
}

}  // namespace heddle::cuda
