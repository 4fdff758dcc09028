// Ops batchNorm and batchNormGrad, over every axis but the channels'.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "../core/batch_norm_problem.h"
#include "kernels.h"
#include "levels.h"
#include "onednn.h"
#include "strided_copy.h"

#define HEDDLE_LOOPS "batch_norm_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

// Sums over rows are cut into this many parts whatever the threads, so that their order is fixed.
constexpr int64_t kParts = 32;

/// The kernel of both directions: sums per channel, then one affine pass.
template <typename T, bool kGrad>
class BatchNorm : public Kernel {
  using C = Compute<T>;

 public:
  BatchNorm(const BatchNormSpecs& specs, double eps) : m_(specs.x), count_(specs.x.size()), eps_(static_cast<C>(eps)) {
    const auto& [x, dy, out] = specs;
    const auto bytes = static_cast<int64_t>(sizeof(T));
    // Operands in other layouts than x pass through workspace in x's.
    if (dy && dy->strides != x.strides) copyIn_.emplace(x.shape, dy->strides, x.strides, bytes);
    if (out.strides != x.strides) copyOut_.emplace(x.shape, x.strides, out.strides, bytes);
    parts_ = m_.inner == 1 ? std::min(kParts, std::max<int64_t>(m_.outer, 1)) : 1;
  }

  size_t workspaceBytes() const override {
    const size_t copies = (copyIn_ ? 1 : 0) + (copyOut_ ? 1 : 0);
    return copies * copyBytes() + static_cast<size_t>((2 * parts_ + 6) * m_.channels) * sizeof(C);
  }

  void run(const RunOperands& operands) override {
    char* next = static_cast<char*>(operands.workspace);
    const T* dy = kGrad ? static_cast<const T*>(operands.inputs[0]) : nullptr;
    const T* x = static_cast<const T*>(operands.inputs[kGrad ? 1 : 0]);
    const T* gamma = static_cast<const T*>(operands.inputs[kGrad ? 2 : 1]);
    T* out = static_cast<T*>(operands.outputs[0]);
    if (copyIn_) {
      copyIn_->run(dy, next);
      dy = reinterpret_cast<T*>(next);
      next += copyBytes();
    }
    if (copyOut_) {
      out = reinterpret_cast<T*>(next);
      next += copyBytes();
    }
    C* scratch = reinterpret_cast<C*>(next);
    const int64_t channels = m_.channels;
    C *middle = scratch, *a = middle + channels, *b = a + channels, *shift = b + channels, *sums = shift + channels,
      *products = sums + channels, *parts = products + channels;
    if (kGrad)
      prepareGrad(operands, x, dy, gamma, middle, a, b, shift, sums, products, parts);
    else
      prepareForward(operands, x, gamma, middle, b, shift, sums, products, parts);
    apply(x, dy, middle, a, b, shift, out);
    if (copyOut_) copyOut_->run(out, operands.outputs[0]);
  }

 private:
  size_t copyBytes() const { return onednn::alignUp(static_cast<size_t>(count_) * sizeof(T)); }

  void prepareForward(const RunOperands& operands, const T* x, const T* gamma, C* middle, C* b, C* shift, C* sums,
                      C* products, C* parts) const {
    const auto* beta = static_cast<const T*>(operands.inputs[2]);
    auto* mean = static_cast<C*>(operands.outputs[1]);
    auto* variance = static_cast<C*>(operands.outputs[2]);
    const C count = static_cast<C>(m_.perChannel());
    // The mean first, then squares around it: the sum of squares alone would cancel where the mean is large.
    std::fill_n(middle, m_.channels, C{0});
    add(x, nullptr, middle, sums, products, parts);
    for (int64_t c = 0; c < m_.channels; c++) middle[c] = mean[c] = sums[c] / count;
    add(x, nullptr, middle, sums, products, parts);
    for (int64_t c = 0; c < m_.channels; c++) {
      variance[c] = products[c] / count;
      b[c] = load(gamma[c]) / std::sqrt(variance[c] + eps_);
      shift[c] = load(beta[c]);
    }
  }

  // With h = (x - mean) rstd: dx = gamma rstd (dy - mean(dy) - h mean(dy h)).
  void prepareGrad(const RunOperands& operands, const T* x, const T* dy, const T* gamma, C* middle, C* a, C* b,
                   C* shift, C* sums, C* products, C* parts) const {
    const auto* mean = static_cast<const C*>(operands.inputs[3]);
    const auto* rstd = static_cast<const C*>(operands.inputs[4]);
    auto* dgamma = static_cast<T*>(operands.outputs[1]);
    auto* dbeta = static_cast<T*>(operands.outputs[2]);
    const C count = static_cast<C>(m_.perChannel());
    std::copy_n(mean, m_.channels, middle);
    add(x, dy, middle, sums, products, parts);
    for (int64_t c = 0; c < m_.channels; c++) {
      dgamma[c] = store<T>(products[c] * rstd[c]);
      dbeta[c] = store<T>(sums[c]);
      a[c] = load(gamma[c]) * rstd[c];
      b[c] = -a[c] * rstd[c] * rstd[c] * products[c] / count;
      shift[c] = -a[c] * sums[c] / count;
    }
  }

  void add(const T* x, const T* dy, const C* middle, C* sums, C* products, C* parts) const {
    const int64_t channels = m_.channels;
    if (m_.inner == 1) {
      const auto addRows = HEDDLE_DISPATCH(addChannelRows<T, kGrad>);
      std::fill_n(parts, 2 * parts_ * channels, C{0});
#pragma omp parallel for schedule(static) if (count_ > 8192)
      for (int64_t part = 0; part < parts_; part++) {
        const int64_t first = part * m_.outer / parts_, last = (part + 1) * m_.outer / parts_;
        addRows(x + first * channels, kGrad ? dy + first * channels : nullptr, middle, last - first, channels,
                parts + 2 * part * channels, parts + (2 * part + 1) * channels);
      }
      for (int64_t c = 0; c < channels; c++) {
        sums[c] = products[c] = 0;
        for (int64_t part = 0; part < parts_; part++) {
          sums[c] += parts[2 * part * channels + c];
          products[c] += parts[(2 * part + 1) * channels + c];
        }
      }
      return;
    }
    const auto addPlane = HEDDLE_DISPATCH(addChannelPlane<T, kGrad>);
#pragma omp parallel for schedule(static) if (count_ > 8192)
    for (int64_t c = 0; c < channels; c++) {
      sums[c] = products[c] = 0;
      for (int64_t o = 0; o < m_.outer; o++) {
        const int64_t at = (o * channels + c) * m_.inner;
        addPlane(x + at, kGrad ? dy + at : nullptr, middle[c], m_.inner, sums + c, products + c);
      }
    }
  }

  void apply(const T* x, const T* dy, const C* middle, const C* a, const C* b, const C* shift, T* out) const {
    const int64_t channels = m_.channels, inner = m_.inner;
    if (inner == 1) {
      const auto applyRow = HEDDLE_DISPATCH(applyChannelRow<T, kGrad>);
#pragma omp parallel for schedule(static) if (count_ > 8192)
      for (int64_t row = 0; row < m_.outer; row++)
        applyRow(x + row * channels, kGrad ? dy + row * channels : nullptr, middle, a, b, shift, channels,
                 out + row * channels);
      return;
    }
    const auto applyPlane = HEDDLE_DISPATCH(applyChannelPlane<T, kGrad>);
#pragma omp parallel for schedule(static) if (count_ > 8192)
    for (int64_t plane = 0; plane < m_.outer * channels; plane++) {
      const int64_t c = plane % channels, at = plane * inner;
      applyPlane(x + at, kGrad ? dy + at : nullptr, middle[c], kGrad ? a[c] : C{0}, b[c], shift[c], inner, out + at);
    }
  }

  ChannelMemory m_;
  int64_t count_, parts_;
  C eps_;
  std::optional<StridedCopy> copyIn_, copyOut_;
};

std::unique_ptr<Kernel> makeBatchNorm(WordReader& words, Specs in, Specs out) {
  const BatchNormParams params = BatchNormParams::read(words);
  const BatchNormSpecs specs = readBatchNorm(in, out);
  return dispatchFloat("batchNorm", specs.x.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<BatchNorm<typename decltype(tag)::type, false>>(specs, params.eps);
  });
}

std::unique_ptr<Kernel> makeBatchNormGrad(WordReader&, Specs in, Specs out) {
  const BatchNormSpecs specs = readBatchNormGrad(in, out);
  return dispatchFloat("batchNormGrad", specs.x.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<BatchNorm<typename decltype(tag)::type, true>>(specs, 0);
  });
}

}  // namespace

void registerBatchNorm(KernelTable& table) {
  table.add(OpId::batchNorm, makeBatchNorm);
  table.add(OpId::batchNormGrad, makeBatchNormGrad);
}

}  // namespace heddle
