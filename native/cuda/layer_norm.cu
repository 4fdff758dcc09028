// Ops layerNorm and rmsNorm, over contiguous last axes. Bound by memory: x is read once where a row stays in registers
// (longer rows twice, the second time mostly from the L2 cache), y is written once.
#include "../core/norm_problem.h"
#include "device/group.h"
#include "device/row.h"
#include "kernels.h"
#include "launch.h"
#include "row_share.h"

namespace heddle::cuda {
namespace {

/// Packs that a thread of the walking kernel has in flight.
template <typename T>
constexpr int kInFlight = sizeof(T) == 8 ? 2 : 4;
/// Packs that a thread of the other holds at most.
template <typename T>
constexpr int kMostHeld = sizeof(T) == 4 ? 8 : 4;

template <typename T>
struct NormOperands {
  const T *x, *gamma, *beta;
  T* y;
  Compute<T>*mean, *rstd;
  bool aligned;         // x and y
  bool weightsAligned;  // gamma and beta
};

/// y = (x - mean) rstd gamma + beta; without centring mean and beta are zero.
template <bool kCentred, int kPacks, typename T, typename Index>
__device__ inline void writeNormalised(const NormOperands<T>& operands, const RowPacks<T, Index>& row, Index first,
                                       int lanes, const Compute<T> (&values)[kPacks * kPackWidth<T>], Compute<T> mean,
                                       Compute<T> rstd) {
  constexpr int kWidth = kPackWidth<T>;
  Words gammas[kPacks], betas[kCentred ? kPacks : 1], results[kPacks];
  row.loadBeside(operands.gamma, operands.weightsAligned, first, lanes, gammas);
  if constexpr (kCentred) row.loadBeside(operands.beta, operands.weightsAligned, first, lanes, betas);
#pragma unroll
  for (int p = 0; p < kPacks; p++) {
    const Pack<T> gamma = elementsOf<T>(gammas[p]), beta = elementsOf<T>(betas[kCentred ? p : 0]);
    Pack<T> result;
#pragma unroll
    for (int i = 0; i < kWidth; i++) {
      Compute<T> value = (values[p * kWidth + i] - mean) * rstd * widen(gamma.element[i]);
      if constexpr (kCentred) value += widen(beta.element[i]);
      result.element[i] = narrow<T>(value);
    }
    results[p] = wordsOf(result);
  }
  row.store(operands.y, first, lanes, results);
}

/// The sum of (x - middle)^2 over the elements that the row has.
template <int kPacks, typename T, typename Index>
__device__ inline Compute<T> sumOfSquares(const RowPacks<T, Index>& row, Index first, int lanes,
                                          const Compute<T> (&values)[kPacks * kPackWidth<T>], Compute<T> middle) {
  Compute<T> sum = 0;
#pragma unroll
  for (int p = 0; p < kPacks; p++) {
    const auto span = row.span(first + p * lanes);
#pragma unroll
    for (int i = 0; i < kPackWidth<T>; i++) {
      const Compute<T> distance = values[p * kPackWidth<T> + i] - middle;
      if (span.holds(i)) sum += distance * distance;
    }
  }
  return sum;
}

template <bool kCentred, typename T>
__device__ inline void writeStatistics(const NormOperands<T>& operands, int64_t row, Compute<T> mean, Compute<T> rstd) {
  if constexpr (kCentred) operands.mean[row] = mean;
  operands.rstd[row] = rstd;
}

template <bool kCentred, typename T, int kPacks>
__global__ __launch_bounds__(heldRowThreads(kPacks, kMostHeld<T>),
                             kLeastRowBlocks<T>) void normHeld(const __grid_constant__ NormOperands<T> operands,
                                                               int64_t rows, int64_t size, int lanes, Compute<T> eps) {
  using C = Compute<T>;
  __shared__ C scratch[32];
  const Group group(lanes);
  for (int64_t first = int64_t{blockIdx.x} * group.perBlock; first < rows;
       first += int64_t{gridDim.x} * group.perBlock) {
    const int64_t index = first + group.index;
    const RowPacks<T, int> row(index, static_cast<int>(size), operands.aligned, index < rows);
    Words packs[kPacks];
    row.load(operands.x, group.lane, lanes, T{}, packs);
    C values[kPacks * kPackWidth<T>];
    widenAll<T>(packs, values);
    C mean = 0;
    if constexpr (kCentred) {
#pragma unroll
      for (C value : values) mean += value;
      mean = groupReduce<Sum>(mean, C(0), lanes, scratch) / static_cast<C>(size);
    }
    const C squares = sumOfSquares<kPacks>(row, group.lane, lanes, values, mean);
    const C rstd = 1 / sqrt(groupReduce<Sum>(squares, C(0), lanes, scratch) / static_cast<C>(size) + eps);
    if (group.lane == 0 && index < rows) writeStatistics<kCentred>(operands, index, mean, rstd);
    writeNormalised<kCentred, kPacks>(operands, row, group.lane, lanes, values, mean, rstd);
  }
}

template <bool kCentred, typename T>
__global__ __launch_bounds__(kMostRowThreads,
                             kLeastRowBlocks<T>) void normWalked(const __grid_constant__ NormOperands<T> operands,
                                                                 int64_t rows, int64_t size, int lanes,
                                                                 Compute<T> eps) {
  using C = Compute<T>;
  constexpr int kPacks = kInFlight<T>;
  __shared__ C scratch[32];
  const Group group(lanes);
  for (int64_t index = blockIdx.x; index < rows; index += gridDim.x) {
    const RowPacks<T, int64_t> row(index, size, operands.aligned);
    Words packs[kPacks];
    C values[kPacks * kPackWidth<T>];
    // Of what this thread has seen: how many, their mean and the sum of their squared distances from it, joined as in
    // Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
    C count = 0, middle = 0, squares = 0;
#pragma unroll 1
    for (int64_t first = group.lane; first < row.packs(); first += kPacks * lanes) {
      row.load(operands.x, first, lanes, T{}, packs);
      widenAll<T>(packs, values);
      if constexpr (kCentred) {
        C more = 0, sum = 0;
#pragma unroll
        for (int p = 0; p < kPacks; p++) more += static_cast<C>(row.span(first + p * lanes).count());
#pragma unroll
        for (C value : values) sum += value;
        const C centre = sum / more, distance = centre - middle, share = more / (count + more);
        squares += sumOfSquares<kPacks>(row, first, lanes, values, centre) + distance * distance * count * share;
        middle += distance * share;
        count += more;
      } else {
        squares += sumOfSquares<kPacks>(row, first, lanes, values, C(0));
      }
    }
    C mean = 0;
    if constexpr (kCentred) {
      mean = groupReduce<Sum>(middle * count, C(0), lanes, scratch) / static_cast<C>(size);
      squares += count * (middle - mean) * (middle - mean);
    }
    const C rstd = 1 / sqrt(groupReduce<Sum>(squares, C(0), lanes, scratch) / static_cast<C>(size) + eps);
    if (group.lane == 0) writeStatistics<kCentred>(operands, index, mean, rstd);
#pragma unroll 1
    for (int64_t first = group.lane; first < row.packs(); first += kPacks * lanes) {
      row.load(operands.x, first, lanes, T{}, packs);
      widenAll<T>(packs, values);
      writeNormalised<kCentred, kPacks>(operands, row, first, lanes, values, mean, rstd);
    }
  }
}

template <typename T>
using NormKernel = void (*)(NormOperands<T> operands, int64_t rows, int64_t size, int lanes, Compute<T> eps);

template <bool kCentred, typename T>
NormKernel<T> kernelFor(int packs) {
  if (packs == 2) return normHeld<kCentred, T, 2>;
  if (packs == 4) return normHeld<kCentred, T, 4>;
  if constexpr (kMostHeld<T> == 8)
    if (packs == 8) return normHeld<kCentred, T, 8>;
  return normWalked<kCentred, T>;
}

template <bool kCentred, typename T>
class Norm : public Kernel {
  using C = Compute<T>;

 public:
  Norm(NormRows rows, double eps) : rows_(rows), eps_(static_cast<C>(eps)) {
    const int64_t packs = packsOf(rows.size, kPackWidth<T>);
    share_ = shareHeldRow(packs, kMostHeld<T>);
    kernel_ = kernelFor<kCentred, T>(share_.packs);
    if (share_.packs == 0) share_ = shareWalkedRow(packs, kInFlight<T>);
  }

  void run(const RunOperands& run) override {
    NormOperands<T> operands{};
    operands.x = static_cast<const T*>(run.inputs[0]);
    operands.gamma = static_cast<const T*>(run.inputs[1]);
    operands.beta = kCentred ? static_cast<const T*>(run.inputs[2]) : nullptr;
    operands.y = static_cast<T*>(run.outputs[0]);
    operands.mean = kCentred ? static_cast<C*>(run.outputs[1]) : nullptr;
    operands.rstd = static_cast<C*>(run.outputs[kCentred ? 2 : 1]);
    operands.aligned = packAligned(operands.x) && packAligned(operands.y);
    operands.weightsAligned = packAligned(operands.gamma) && packAligned(operands.beta);
    launch(kCentred ? "layerNorm" : "rmsNorm", kernel_, share_.blocks(rows_.count), share_.threads(), 0, operands,
           rows_.count, rows_.size, share_.lanes, eps_);
  }

 private:
  const NormRows rows_;
  const C eps_;
  RowShare share_;
  NormKernel<T> kernel_;
};

std::unique_ptr<Kernel> makeLayerNorm(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "layerNorm";
  const LayerNormParams params = LayerNormParams::read(words);
  expectCount(op, in, 3, out, 3);
  const NormRows rows = readNormRows(op, params.axes, in, out, {&in[0], &out[0]}, {&in[1], &in[2]}, {&out[1], &out[2]});
  return dispatchFloat(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<Norm<true, typename decltype(tag)::type>>(rows, params.eps);
  });
}

std::unique_ptr<Kernel> makeRmsNorm(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "rmsNorm";
  const RmsNormParams params = RmsNormParams::read(words);
  expectCount(op, in, 2, out, 2);
  const NormRows rows = readNormRows(op, params.axes, in, out, {&in[0], &out[0]}, {&in[1]}, {&out[1]});
  return dispatchFloat(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<Norm<false, typename decltype(tag)::type>>(rows, params.eps);
  });
}

}  // namespace

void registerLayerNorm(KernelTable& table) {
  table.add(OpId::layerNorm, makeLayerNorm);
  table.add(OpId::rmsNorm, makeRmsNorm);
}

}  // namespace heddle::cuda
