// Ops crossEntropy and crossEntropyGrad: softmax cross-entropy of class indices, with ignored rows and smoothing. Bound
// by memory: forward reads the logits once, backward reads them and writes their gradients.
#include "../core/cross_entropy_problem.h"
#include "device/online.h"
#include "device/report.h"
#include "device/row.h"
#include "device/scalar.h"
#include "kernels.h"
#include "launch.h"
#include "row_share.h"

namespace heddle::cuda {
namespace {

/// Packs that a thread has in flight.
template <typename T>
constexpr int kInFlight = sizeof(T) == 8 ? 2 : 4;

/// What both ops know of the targets.
struct Targets {
  const void* values;
  bool wide;  // i64, else i32
  int64_t classes;
  int64_t ignoreIndex;
  Reporter reporter;

  /// The row's class, -1 where it is ignored, or out of range and reported.
  __device__ int64_t of(int64_t row, bool reports) const {
    const int64_t value =
        wide ? static_cast<const int64_t*>(values)[row] : int64_t{static_cast<const int32_t*>(values)[row]};
    if (value == ignoreIndex) return -1;
    if (value >= 0 && value < classes) return value;
    if (reports) reportFinding(reporter, Finding::target, row, value, classes, ignoreIndex);
    return -1;
  }
};

/// loss = (1 - s) (lse - x[target]) + s (lse - mean x), the cross-entropy with a target smoothed by s. Differences to
/// the largest element keep the digits that lse - x would lose where both are large.
template <bool kSmoothed, typename T>
__global__ __launch_bounds__(kMostRowThreads,
                             kLeastRowBlocks<T>) void crossEntropyRows(const T* logits, Targets targets,
                                                                       Compute<T>* loss, Compute<T>* logSumExp,
                                                                       int64_t rows, int lanes, bool aligned,
                                                                       Compute<T> smoothing) {
  using C = Compute<T>;
  constexpr int kPacks = kInFlight<T>, kWidth = kPackWidth<T>;
  __shared__ C scratch[32];
  const Group group(lanes);
  for (int64_t first = int64_t{blockIdx.x} * group.perBlock; first < rows;
       first += int64_t{gridDim.x} * group.perBlock) {
    const int64_t index = first + group.index;
    const RowPacks<T, int64_t> row(index, targets.classes, aligned, index < rows);
    OnlineSoftmax<C> online;
    C spread = 0,
      count = 0;  // the sum of x - online.peak over as many elements; the peak taken as 0 while it is not finite
#pragma unroll 1
    for (int64_t start = group.lane; start < row.packs(); start += kPacks * lanes) {
      Words packs[kPacks];
      row.load(logits, start, lanes, narrow<T>(static_cast<C>(-INFINITY)), packs);
      C values[kPacks * kWidth];
      widenAll<T>(packs, values);
      const C before = online.peak == static_cast<C>(-INFINITY) ? C(0) : online.peak;
      const C reference = online.add(values);
      if constexpr (kSmoothed) {
        spread += count * (before - reference);
#pragma unroll
        for (int p = 0; p < kPacks; p++) {
          const auto span = row.span(start + p * lanes);
#pragma unroll
          for (int i = 0; i < kWidth; i++)
            if (span.holds(i)) {
              spread += values[p * kWidth + i] - reference;
              count += 1;
            }
        }
      }
    }
    const C mine = online.peak == static_cast<C>(-INFINITY) ? C(0) : online.peak;
    online.finish(lanes, scratch);
    if constexpr (kSmoothed) spread = groupReduce<Sum>(spread + count * (mine - online.peak), C(0), lanes, scratch);
    if (group.lane == 0 && index < rows) {
      const C logSum = log(online.total);
      logSumExp[index] = online.peak + logSum;
      const int64_t target = targets.of(index, true);
      C value = 0;
      if (target >= 0) {
        value = logSum - (widen(logits[index * targets.classes + target]) - online.peak);
        if constexpr (kSmoothed)
          value = (1 - smoothing) * value + smoothing * (logSum - spread / static_cast<C>(targets.classes));
      }
      loss[index] = value;
    }
  }
}

/// dloss (softmax(x) - q), where q is the smoothed target distribution; zero in ignored rows.
template <typename T>
__global__ __launch_bounds__(kMostRowThreads, kLeastRowBlocks<T>) void crossEntropyGradRows(
    const T* logits, Targets targets, const Compute<T>* logSumExp, const Compute<T>* dloss, T* dlogits, int64_t rows,
    int lanes, bool aligned, Compute<T> smoothing) {
  using C = Compute<T>;
  constexpr int kPacks = kInFlight<T>, kWidth = kPackWidth<T>;
  const Group group(lanes);
  const C even = smoothing / static_cast<C>(targets.classes), hit = 1 - smoothing;
  for (int64_t index = int64_t{blockIdx.x} * group.perBlock + group.index; index < rows;
       index += int64_t{gridDim.x} * group.perBlock) {
    const RowPacks<T, int64_t> row(index, targets.classes, aligned);
    const int64_t target = targets.of(index, group.lane == 0);
    const C sum = logSumExp[index], slope = dloss[index];
#pragma unroll 1
    for (int64_t start = group.lane; start < row.packs(); start += kPacks * lanes) {
      Words packs[kPacks];
      row.load(logits, start, lanes, narrow<T>(0), packs);
#pragma unroll
      for (int p = 0; p < kPacks; p++) {
        Pack<T> pack = elementsOf<T>(packs[p]);
        const int64_t chosen = target - row.position(start + p * lanes);
#pragma unroll
        for (int i = 0; i < kWidth; i++) {
          C value = exp(widen(pack.element[i]) - sum) - even;
          if (i == chosen) value -= hit;
          pack.element[i] = narrow<T>(target < 0 ? C(0) : value * slope);
        }
        packs[p] = wordsOf(pack);
      }
      row.store(dlogits, start, lanes, packs);
    }
  }
}

template <typename T>
class CrossEntropy : public Kernel {
 public:
  CrossEntropy(Specs inputs, int64_t ignoreIndex, double smoothing)
      : rows_(inputs[0].shape[0]),
        classes_(inputs[0].shape[1]),
        wide_(inputs[1].dtype == DType::i64),
        ignoreIndex_(ignoreIndex),
        smoothing_(static_cast<Compute<T>>(smoothing)),
        share_(shareWalkedRow(packsOf(classes_, kPackWidth<T>), kInFlight<T>)) {}

 protected:
  Targets targets(const void* values, OpId op) const {
    return {values, wide_, classes_, ignoreIndex_, Context::current().reporter(op)};
  }

  const int64_t rows_, classes_;
  const bool wide_;
  const int64_t ignoreIndex_;
  const Compute<T> smoothing_;
  const RowShare share_;
};

template <typename T>
class CrossEntropyForward : public CrossEntropy<T> {
  using C = Compute<T>;

 public:
  using CrossEntropy<T>::CrossEntropy;

  void run(const RunOperands& operands) override {
    const auto* logits = static_cast<const T*>(operands.inputs[0]);
    launch("crossEntropy", this->smoothing_ != 0 ? crossEntropyRows<true, T> : crossEntropyRows<false, T>,
           this->share_.blocks(this->rows_), this->share_.threads(), 0, logits,
           this->targets(operands.inputs[1], OpId::crossEntropy), static_cast<C*>(operands.outputs[0]),
           static_cast<C*>(operands.outputs[1]), this->rows_, this->share_.lanes, packAligned(logits),
           this->smoothing_);
  }
};

template <typename T>
class CrossEntropyBackward : public CrossEntropy<T> {
  using C = Compute<T>;

 public:
  using CrossEntropy<T>::CrossEntropy;

  void run(const RunOperands& operands) override {
    const auto* logits = static_cast<const T*>(operands.inputs[0]);
    auto* dlogits = static_cast<T*>(operands.outputs[0]);
    launch("crossEntropyGrad", crossEntropyGradRows<T>, this->share_.blocks(this->rows_), this->share_.threads(), 0,
           logits, this->targets(operands.inputs[1], OpId::crossEntropyGrad), static_cast<const C*>(operands.inputs[2]),
           static_cast<const C*>(operands.inputs[3]), dlogits, this->rows_, this->share_.lanes,
           packAligned(logits) && packAligned(dlogits), this->smoothing_);
  }
};

std::unique_ptr<Kernel> makeCrossEntropy(WordReader& words, Specs inputs, Specs outputs) {
  const CrossEntropyParams params = CrossEntropyParams::read(words);
  checkCrossEntropy(inputs, outputs);
  return dispatchFloat("crossEntropy", inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<CrossEntropyForward<typename decltype(tag)::type>>(inputs, params.ignoreIndex,
                                                                               params.labelSmoothing);
  });
}

std::unique_ptr<Kernel> makeCrossEntropyGrad(WordReader& words, Specs inputs, Specs outputs) {
  const CrossEntropyGradParams params = CrossEntropyGradParams::read(words);
  checkCrossEntropyGrad(inputs, outputs);
  return dispatchFloat("crossEntropyGrad", inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<CrossEntropyBackward<typename decltype(tag)::type>>(inputs, params.ignoreIndex,
                                                                                params.labelSmoothing);
  });
}

}  // namespace

void registerCrossEntropy(KernelTable& table) {
  table.add(OpId::crossEntropy, makeCrossEntropy);
  table.add(OpId::crossEntropyGrad, makeCrossEntropyGrad);
}

}  // namespace heddle::cuda
