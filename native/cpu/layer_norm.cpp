// Ops layerNorm, rmsNorm and their gradients, over contiguous last axes.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "../core/norm_problem.h"
#include "kernels.h"
#include "levels.h"
#include "stream.h"

#define HEDDLE_LOOPS "norm_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

constexpr int64_t kParallelElements = 8192;
// Gradients of gamma and beta are summed in this many parts whatever the threads, so that the order of sums is fixed.
constexpr int64_t kParts = 32;

template <typename T, bool kCentred>
class Norm : public Kernel {
  using C = Compute<T>;

 public:
  Norm(NormRows rows, double eps) : rows_(rows), eps_(static_cast<C>(eps)) {}

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    const auto* gamma = static_cast<const T*>(operands.inputs[1]);
    const auto* beta = kCentred ? static_cast<const T*>(operands.inputs[2]) : nullptr;
    auto* y = static_cast<T*>(operands.outputs[0]);
    auto* mean = kCentred ? static_cast<C*>(operands.outputs[1]) : nullptr;
    auto* rstd = static_cast<C*>(operands.outputs[kCentred ? 2 : 1]);
    const auto row = HEDDLE_DISPATCH(normRow<T, kCentred>);
    const int64_t size = rows_.size;
    const bool streams = RowWriter<T>::streams(rows_.count, size, x == y);
#pragma omp parallel if (rows_.count * size > kParallelElements)
    {
      RowWriter<T> writer(y, size, streams);
#pragma omp for schedule(static) nowait
      for (int64_t i = 0; i < rows_.count; i++)
        writer.write(
            i, [&](T* to) { row(x + i * size, gamma, beta, to, kCentred ? mean + i : nullptr, rstd + i, size, eps_); });
    }
  }

 private:
  NormRows rows_;
  C eps_;
};

template <typename T, bool kCentred>
class NormGrad : public Kernel {
  using C = Compute<T>;

 public:
  explicit NormGrad(NormRows rows) : rows_(rows), parts_(std::min(kParts, rows.count)) {}

  size_t workspaceBytes() const override {
    return static_cast<size_t>(parts_ * rows_.size * (kCentred ? 2 : 1)) * sizeof(C);
  }

  void run(const RunOperands& operands) override {
    const auto* dy = static_cast<const T*>(operands.inputs[0]);
    const auto* x = static_cast<const T*>(operands.inputs[1]);
    const auto* gamma = static_cast<const T*>(operands.inputs[2]);
    const auto* mean = kCentred ? static_cast<const C*>(operands.inputs[3]) : nullptr;
    const auto* rstd = static_cast<const C*>(operands.inputs[kCentred ? 4 : 3]);
    auto* dx = static_cast<T*>(operands.outputs[0]);
    auto* gammaParts = static_cast<C*>(operands.workspace);
    auto* betaParts = gammaParts + parts_ * rows_.size;
    const auto row = HEDDLE_DISPATCH(normGradRow<T, kCentred>);
    const auto add = HEDDLE_DISPATCH(addParts<T>);
    const int64_t size = rows_.size;
    const bool parallel = rows_.count * size > kParallelElements;
    const bool streams = RowWriter<T>::streams(rows_.count, size, dx == x || dx == dy);
#pragma omp parallel if (parallel)
    {
      RowWriter<T> writer(dx, size, streams);
#pragma omp for schedule(static) nowait
      for (int64_t part = 0; part < parts_; part++) {
        C* dgamma = gammaParts + part * size;
        C* dbeta = betaParts + part * size;
        std::memset(dgamma, 0, static_cast<size_t>(size) * sizeof(C));
        if (kCentred) std::memset(dbeta, 0, static_cast<size_t>(size) * sizeof(C));
        for (int64_t i = part * rows_.count / parts_; i < (part + 1) * rows_.count / parts_; i++)
          writer.write(i, [&](T* to) {
            row(dy + i * size, x + i * size, gamma, kCentred ? mean[i] : C{0}, rstd[i], to, dgamma, dbeta, size);
          });
      }
    }
    constexpr int64_t block = 256;
#pragma omp parallel for schedule(static) if (parallel)
    for (int64_t first = 0; first < size; first += block) {
      const int64_t last = std::min(first + block, size);
      add(gammaParts, parts_, size, first, last, static_cast<T*>(operands.outputs[1]));
      if (kCentred) add(betaParts, parts_, size, first, last, static_cast<T*>(operands.outputs[2]));
    }
  }

 private:
  NormRows rows_;
  int64_t parts_;
};

std::unique_ptr<Kernel> makeLayerNorm(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "layerNorm";
  const LayerNormParams params = LayerNormParams::read(words);
  expectCount(op, in, 3, out, 3);
  const NormRows rows = readNormRows(op, params.axes, in, out, {&in[0], &out[0]}, {&in[1], &in[2]}, {&out[1], &out[2]});
  return dispatchFloat(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<Norm<typename decltype(tag)::type, true>>(rows, params.eps);
  });
}

std::unique_ptr<Kernel> makeLayerNormGrad(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "layerNormGrad";
  const LayerNormGradParams params = LayerNormGradParams::read(words);
  expectCount(op, in, 5, out, 3);
  const NormRows rows =
      readNormRows(op, params.axes, in, out, {&in[0], &in[1], &out[0]}, {&in[2], &out[1], &out[2]}, {&in[3], &in[4]});
  return dispatchFloat(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<NormGrad<typename decltype(tag)::type, true>>(rows);
  });
}

std::unique_ptr<Kernel> makeRmsNorm(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "rmsNorm";
  const RmsNormParams params = RmsNormParams::read(words);
  expectCount(op, in, 2, out, 2);
  const NormRows rows = readNormRows(op, params.axes, in, out, {&in[0], &out[0]}, {&in[1]}, {&out[1]});
  return dispatchFloat(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<Norm<typename decltype(tag)::type, false>>(rows, params.eps);
  });
}

std::unique_ptr<Kernel> makeRmsNormGrad(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "rmsNormGrad";
  const RmsNormGradParams params = RmsNormGradParams::read(words);
  expectCount(op, in, 4, out, 2);
  const NormRows rows = readNormRows(op, params.axes, in, out, {&in[0], &in[1], &out[0]}, {&in[2], &out[1]}, {&in[3]});
  return dispatchFloat(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<NormGrad<typename decltype(tag)::type, false>>(rows);
  });
}

}  // namespace

void registerLayerNorm(KernelTable& table) {
  table.add(OpId::layerNorm, makeLayerNorm);
  table.add(OpId::layerNormGrad, makeLayerNormGrad);
  table.add(OpId::rmsNorm, makeRmsNorm);
  table.add(OpId::rmsNormGrad, makeRmsNormGrad);
}

}  // namespace heddle
