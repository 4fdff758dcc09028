// Ops batchNorm and batchNormGrad, over every axis but the channels'. Three kernels: sums over parts, coefficients per
// channel, and out = a dy + b (x - mean) + shift. Bound by memory: x (and dy) are read twice and the result written once.
// Kernels of our own and not cuDNN's for the reasons given in pooling.h.
#include <algorithm>
#include <bit>
#include <optional>

#include "../core/check.h"
#include "channel_sums.h"
#include "kernels.h"
#include "strided_copy.h"

namespace heddle::cuda {
namespace {

constexpr int64_t kMostParts = 256;

template <typename C>
struct alignas(4 * sizeof(C)) Coefficients {
  C middle, a, b, shift;
};

/// The narrow operands, per channel.
template <typename T>
struct ForwardChannels {
  const T *gamma, *beta;
  Compute<T>*mean, *variance;
  Compute<T> eps;

  __device__ Coefficients<Compute<T>> finish(int channel, const Moments<Compute<T>, 1>& total, Compute<T>) const {
    using C = Compute<T>;
    const C middle = total.sum[0] / total.count, spread = total.squares[0] / total.count;
    mean[channel] = middle;
    variance[channel] = spread;
    return {middle, C(0), widen(gamma[channel]) / sqrt(spread + eps), widen(beta[channel])};
  }
};

template <typename T>
struct GradChannels {
  const T* gamma;
  const Compute<T>*mean, *rstd;
  T *dgamma, *dbeta;

  /// With h = (x - mean) rstd: dx = gamma rstd (dy - mean(dy) - h mean(dy h)).
  __device__ Coefficients<Compute<T>> finish(int channel, const SlopeSums<Compute<T>, 1>& total,
                                             Compute<T> count) const {
    using C = Compute<T>;
    const C scale = rstd[channel], a = widen(gamma[channel]) * scale;
    dgamma[channel] = narrow<T>(total.product[0] * scale);
    dbeta[channel] = narrow<T>(total.sum[0]);
    return {mean[channel], a, -a * scale * scale * total.product[0] / count, -a * total.sum[0] / count};
  }
};

/// One warp per channel merges its parts.
template <typename Sums, typename Channels, typename C>
__global__ void finishChannels(const Sums* partials, int parts, int channels, Channels narrow, C count,
                               Coefficients<C>* coefficients) {
  const int channel = static_cast<int>(blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32);
  if (channel >= channels) return;
  Sums total{};
  for (int part = threadIdx.x % 32; part < parts; part += 32)
    total.merge(partials[static_cast<int64_t>(channel) * parts + part]);
  total = warpMerge(total);
  if (threadIdx.x % 32 == 0) coefficients[channel] = narrow.finish(channel, total, count);
}

template <typename T, int width, bool kGrad>
__device__ inline Pack<T, width> applied(const Pack<T, width>& x, const Pack<T, width>& dy,
                                         const Coefficients<Compute<T>> (&k)[width]) {
  Pack<T, width> result;
#pragma unroll
  for (int j = 0; j < width; j++) {
    Compute<T> value = (widen(x.element[j]) - k[j].middle) * k[j].b + k[j].shift;
    if constexpr (kGrad) value += widen(dy.element[j]) * k[j].a;
    result.element[j] = narrow<T>(value);
  }
  return result;
}

template <typename T, int width, bool kGrad>
__global__ void __launch_bounds__(kNormThreads)
    applyPlanes(const Pack<T, width>* x, const Pack<T, width>* dy, const Coefficients<Compute<T>>* coefficients,
                Divider<uint32_t> packsPerPlane, Divider<uint32_t> channels, uint32_t packs, Pack<T, width>* out) {
  using C = Compute<T>;
  for (uint32_t start = blockIdx.x * (kNormThreads * kPacksAtOnce) + threadIdx.x; start < packs;
       start += gridDim.x * (kNormThreads * kPacksAtOnce)) {
    Pack<T, width> values[kPacksAtOnce], slopes[kPacksAtOnce];
#pragma unroll
    for (int k = 0; k < kPacksAtOnce; k++) {
      const uint32_t at = start + k * kNormThreads;
      if (at >= packs) continue;
      values[k] = x[at];
      if constexpr (kGrad) slopes[k] = dy[at];
    }
#pragma unroll
    for (int k = 0; k < kPacksAtOnce; k++) {
      const uint32_t at = start + k * kNormThreads;
      if (at >= packs) continue;
      uint32_t plane = packsPerPlane.quotient(at);
      const Coefficients<C> own = coefficients[split(plane, channels)];
      Coefficients<C> same[width];
#pragma unroll
      for (int j = 0; j < width; j++) same[j] = own;
      out[at] = applied<T, width, kGrad>(values[k], slopes[k], same);
    }
  }
}

template <typename T, int width, bool kGrad>
__global__ void __launch_bounds__(kNormThreads)
    applyRows(const T* x, const T* dy, const Coefficients<Compute<T>>* coefficients, int channels, int64_t rows,
              int lanesLog, T* out) {
  const int lanes = 1 << lanesLog, rowsAtOnce = kNormThreads >> lanesLog;
  const int channel = (blockIdx.x * lanes + (threadIdx.x & (lanes - 1))) * width;
  if (channel >= channels) return;
  Coefficients<Compute<T>> own[width];
#pragma unroll
  for (int j = 0; j < width; j++) own[j] = coefficients[channel + j];
  const int64_t hop = int64_t{gridDim.y} * rowsAtOnce * kPacksAtOnce;
  for (int64_t start = int64_t{blockIdx.y} * rowsAtOnce * kPacksAtOnce + (threadIdx.x >> lanesLog); start < rows;
       start += hop) {
    Pack<T, width> values[kPacksAtOnce], slopes[kPacksAtOnce];
#pragma unroll
    for (int k = 0; k < kPacksAtOnce; k++) {
      const int64_t row = start + k * rowsAtOnce;
      if (row >= rows) continue;
      values[k] = loadPack<width>(x + row * channels + channel);
      if constexpr (kGrad) slopes[k] = loadPack<width>(dy + row * channels + channel);
    }
#pragma unroll
    for (int k = 0; k < kPacksAtOnce; k++) {
      const int64_t row = start + k * rowsAtOnce;
      if (row >= rows) continue;
      storePack(out + row * channels + channel, applied<T, width, kGrad>(values[k], slopes[k], own));
    }
  }
}

/// Dense memory in whatever order of axes is [outer][channels][inner] around the channel axis.
struct ChannelMemory {
  int64_t outer, channels, inner;

  explicit ChannelMemory(const TensorSpec& spec) {
    const int64_t size = spec.size();
    channels = spec.shape[1];
    inner = channels == 1 ? size : spec.strides[1];
    outer = size == 0 ? 0 : size / (channels * inner);
  }
  int64_t perChannel() const { return outer * inner; }
};

/// Whether two layouts of a shape are one, whatever the strides of axes of extent 1.
bool equalLayouts(const TensorSpec& a, const TensorSpec& b) {
  for (size_t i = 0; i < a.shape.size(); i++)
    if (a.shape[i] != 1 && a.strides[i] != b.strides[i]) return false;
  return true;
}

template <typename T, bool kGrad>
class BatchNorm : public Kernel {
  using C = Compute<T>;
  using Sums = ChannelSums<C, 1, kGrad>;
  static constexpr int kWide = 16 / sizeof(T);

 public:
  BatchNorm(const char* op, const TensorSpec& x, std::optional<TensorSpec> dy, const TensorSpec& out, double eps)
      : op_(op), m_(x), count_(x.size()), eps_(static_cast<C>(eps)) {
    if (std::max(m_.perChannel(), m_.channels * m_.inner) > INT32_MAX)
      throw Error(ErrorCode::unsupported,
                  std::string(op) + ": this device takes up to 2147483647 values of a channel and of an image, not " +
                      formatList(x.shape));
    // Operands in other layouts than x pass through workspace in x's.
    if (dy && !equalLayouts(x, *dy)) copyIn_.emplace(x.shape, dy->strides, x.strides, sizeof(T));
    if (!equalLayouts(x, out)) copyOut_.emplace(x.shape, x.strides, out.strides, sizeof(T));
    const int64_t atOnce = rowMemory() ? (kNormThreads >> lanesLog(kWide)) * 2 : kNormThreads * kWide;
    parts_ = std::clamp<int64_t>((m_.perChannel() + kPacksAtOnce * atOnce - 1) / (kPacksAtOnce * atOnce), 1, kMostParts);
  }

  size_t workspaceBytes() const override {
    const size_t copies = (copyIn_ ? 1 : 0) + (copyOut_ ? 1 : 0);
    return copies * copyBytes() + coefficientBytes() + static_cast<size_t>(m_.channels * parts_) * sizeof(Sums);
  }

  void run(const RunOperands& operands) override {
    if (m_.channels == 0) return;
    char* next = static_cast<char*>(operands.workspace);
    const T* dy = kGrad ? static_cast<const T*>(operands.inputs[0]) : nullptr;
    const T* x = static_cast<const T*>(operands.inputs[kGrad ? 1 : 0]);
    T* out = static_cast<T*>(operands.outputs[0]);
    if (copyIn_) {
      copyIn_->run(op_, dy, next);
      dy = reinterpret_cast<T*>(next);
      next += copyBytes();
    }
    if (copyOut_) {
      out = reinterpret_cast<T*>(next);
      next += copyBytes();
    }
    auto* coefficients = reinterpret_cast<Coefficients<C>*>(next);
    auto* partials = reinterpret_cast<Sums*>(next + coefficientBytes());
    const bool packs = (rowMemory() ? m_.channels : m_.inner) % kWide == 0 && packAligned(x) && packAligned(out) &&
                       (!kGrad || packAligned(dy));
    if (packs)
      queue<kWide>(operands, x, dy, coefficients, partials, out);
    else
      queue<1>(operands, x, dy, coefficients, partials, out);
    if (copyOut_) copyOut_->run(op_, out, operands.outputs[0]);
  }

 private:
  static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
  size_t copyBytes() const { return aligned(static_cast<size_t>(count_) * sizeof(T)); }
  size_t coefficientBytes() const { return aligned(static_cast<size_t>(m_.channels) * sizeof(Coefficients<C>)); }

  bool rowMemory() const { return m_.inner == 1; }
  /// Packs of channels that lie side by side in a block, at most a warp's.
  int lanesLog(int64_t width) const {
    return std::min(static_cast<int>(std::bit_width(static_cast<uint64_t>((m_.channels + width - 1) / width - 1))), 5);
  }

  template <int width>
  void queue(const RunOperands& operands, const T* x, const T* dy, Coefficients<C>* coefficients, Sums* partials,
             T* out) const {
    using Packs = Pack<T, width>;
    const auto channels = static_cast<int>(m_.channels);
    const auto* wideX = reinterpret_cast<const Packs*>(x);
    const auto* wideDy = reinterpret_cast<const Packs*>(dy);
    const C* mean = kGrad ? static_cast<const C*>(operands.inputs[3]) : nullptr;
    const int lanes = lanesLog(width), rowsAtOnce = kNormThreads >> lanes;
    const auto across = static_cast<unsigned>((m_.channels / width + (1 << lanes) - 1) >> lanes);
    const int64_t packsPerPlane = m_.inner / width;
    if (rowMemory())
      launch(op_, sumRows<T, width, kGrad>, dim3(across, static_cast<unsigned>(parts_)), kNormThreads, 0, x, dy, mean,
             channels, m_.outer, lanes, partials);
    else
      launch(op_, sumPlanes<T, width, kGrad>, static_cast<unsigned>(m_.channels * parts_), kNormThreads, 0, wideX,
             wideDy, mean, channels, Divider<uint32_t>(std::max<int64_t>(packsPerPlane, 1)),
             static_cast<uint32_t>(m_.outer * packsPerPlane), static_cast<uint32_t>(parts_), partials);
    finish(operands, coefficients, partials);
    if (rowMemory()) {
      const int64_t blocks = gridFor(m_.outer * across, 2 * rowsAtOnce * kPacksAtOnce);
      const auto down = static_cast<unsigned>(std::min<int64_t>((blocks + across - 1) / across, 65535));
      launch(op_, applyRows<T, width, kGrad>, dim3(across, down), kNormThreads, 0, x, dy, coefficients, channels,
             m_.outer, lanes, out);
      return;
    }
    const int64_t packsPerOuter = m_.channels * packsPerPlane;
    const int64_t most = packsPerOuter == 0 ? 1 : INT32_MAX / packsPerOuter;
    for (int64_t first = 0; first < m_.outer; first += most) {
      const int64_t packs = std::min(most, m_.outer - first) * packsPerOuter, at = first * packsPerOuter;
      launch(op_, applyPlanes<T, width, kGrad>, gridFor(packs, kNormThreads * kPacksAtOnce), kNormThreads, 0,
             wideX + at, kGrad ? wideDy + at : nullptr, coefficients, Divider<uint32_t>(packsPerPlane),
             Divider<uint32_t>(m_.channels), static_cast<uint32_t>(packs), reinterpret_cast<Packs*>(out) + at);
    }
  }

  void finish(const RunOperands& operands, Coefficients<C>* coefficients, const Sums* partials) const {
    const auto grid = static_cast<unsigned>((m_.channels + 3) / 4);
    const auto* gamma = static_cast<const T*>(operands.inputs[kGrad ? 2 : 1]);
    const C count = static_cast<C>(m_.perChannel());
    const auto parts = static_cast<int>(parts_), channels = static_cast<int>(m_.channels);
    if constexpr (kGrad) {
      const GradChannels<T> narrow{gamma, static_cast<const C*>(operands.inputs[3]),
                                   static_cast<const C*>(operands.inputs[4]), static_cast<T*>(operands.outputs[1]),
                                   static_cast<T*>(operands.outputs[2])};
      launch(op_, finishChannels<Sums, GradChannels<T>, C>, grid, 128, 0, partials, parts, channels, narrow, count,
             coefficients);
    } else {
      const ForwardChannels<T> narrow{gamma, static_cast<const T*>(operands.inputs[2]),
                                      static_cast<C*>(operands.outputs[1]), static_cast<C*>(operands.outputs[2]), eps_};
      launch(op_, finishChannels<Sums, ForwardChannels<T>, C>, grid, 128, 0, partials, parts, channels, narrow, count,
             coefficients);
    }
  }

  const char* op_;
  const ChannelMemory m_;
  const int64_t count_;
  int64_t parts_;
  const C eps_;
  std::optional<StridedCopy> copyIn_, copyOut_;
};

void check(const char* op, Specs in, Specs out, std::initializer_list<const TensorSpec*> wide,
           std::initializer_list<const TensorSpec*> narrow, std::initializer_list<const TensorSpec*> statistics) {
  const TensorSpec& x = **wide.begin();
  expect(x.shape.size() >= 2, op, "x of [N,C,...]", in, out);
  const std::vector<int64_t> shape{x.shape[1]};
  for (const TensorSpec* spec : wide)
    expect(spec->shape == x.shape && spec->dtype == x.dtype, op, "operands of one shape and dtype", in, out);
  for (const TensorSpec* spec : narrow)
    expect(spec->shape == shape && spec->dtype == x.dtype && spec->contiguous(), op, "weights [C] of x's dtype", in,
           out);
  for (const TensorSpec* spec : statistics)
    expect(
        spec->shape == shape && spec->dtype == (x.dtype == DType::f64 ? DType::f64 : DType::f32) && spec->contiguous(),
        op, "f32 statistics [C] (f64 for f64)", in, out);
}

std::unique_ptr<Kernel> makeBatchNorm(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "batchNorm";
  const BatchNormParams params = BatchNormParams::read(words);
  expectCount(op, in, 3, out, 3);
  check(op, in, out, {&in[0], &out[0]}, {&in[1], &in[2]}, {&out[1], &out[2]});
  return dispatchFloat(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    return std::make_unique<BatchNorm<T, false>>(op, in[0], std::nullopt, out[0], params.eps);
  });
}

std::unique_ptr<Kernel> makeBatchNormGrad(WordReader&, Specs in, Specs out) {
  constexpr const char* op = "batchNormGrad";
  expectCount(op, in, 5, out, 3);
  check(op, in, out, {&in[1], &in[0], &out[0]}, {&in[2], &out[1], &out[2]}, {&in[3], &in[4]});
  return dispatchFloat(op, in[1].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    return std::make_unique<BatchNorm<T, true>>(op, in[1], in[0], out[0], 0);
  });
}

}  // namespace

void registerBatchNorm(KernelTable& table) {
  table.add(OpId::batchNorm, makeBatchNorm);
  table.add(OpId::batchNormGrad, makeBatchNormGrad);
}

}  // namespace heddle::cuda
