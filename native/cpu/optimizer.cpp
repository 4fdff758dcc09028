// Ops adam, sgd and globalNorm: one pass over many tensors, cut into chunks that threads share evenly.
#include <algorithm>
#include <cmath>

#include "../core/optimizer_problem.h"
#include "kernels.h"
#include "levels.h"

namespace heddle {
namespace {

/// What is the same for every element of one step.
template <typename C>
struct AdamFactors {
  C gradScale, coupledDecay, oneMinusBeta1, beta2, oneMinusBeta2, rootCorrection, eps, keep, stepSize;
};
template <typename C>
struct SgdFactors {
  C gradScale, decay, momentum, gradShare, rate;
  bool first, nesterov;
};

}  // namespace
}  // namespace heddle

#define HEDDLE_LOOPS "optimizer_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

constexpr int64_t kChunk = 16384;

struct Chunk {
  size_t tensor;
  int64_t first, count;
  DType dtype;
};

std::vector<Chunk> chunksOf(Specs tensors) {
  std::vector<Chunk> chunks;
  for (size_t i = 0; i < tensors.size(); i++) {
    const int64_t size = tensors[i].size();
    for (int64_t first = 0; first < size; first += kChunk)
      chunks.push_back({i, first, std::min(kChunk, size - first), tensors[i].dtype});
  }
  return chunks;
}

/// The scalars an optimizer's inputs begin with.
struct StepScalars {
  double rate, gradScale;
  int64_t step;
  bool applies;

  StepScalars(const RunOperands& operands, StepScalarKinds kinds)
      : rate(*static_cast<const double*>(operands.inputs[0])),
        gradScale(kinds.gradScale ? *static_cast<const double*>(operands.inputs[2]) : 1),
        step(*static_cast<const int64_t*>(operands.inputs[1])),
        applies(!kinds.applies || *static_cast<const bool*>(operands.inputs[kinds.appliesPosition()])) {}
};

/// Calls `visit(TypeTag<T>{}, chunk, number)` for every chunk; threads share them evenly.
template <typename Visit>
void eachChunk(const char* op, const std::vector<Chunk>& chunks, Visit&& visit) {
  const auto count = static_cast<int64_t>(chunks.size());
#pragma omp parallel for schedule(static) if (count > 1)
  for (int64_t i = 0; i < count; i++) {
    const Chunk& chunk = chunks[static_cast<size_t>(i)];
    dispatchFloat(op, chunk.dtype, [&](auto tag) { visit(tag, chunk, i); });
  }
}

/// A chunk's tensor among the groups of tensors an optimizer reads and writes.
struct TensorGroups {
  const void* const* in;
  void* const* out;
  size_t groupSize;

  template <typename T>
  const T* input(size_t group, const Chunk& chunk) const {
    return static_cast<const T*>(in[group * groupSize + chunk.tensor]) + chunk.first;
  }
  template <typename T>
  T* output(size_t group, const Chunk& chunk) const {
    return static_cast<T*>(out[group * groupSize + chunk.tensor]) + chunk.first;
  }
};

template <typename T>
void updateChunk(const AdamParams& params, const StepScalars& scalars, const TensorGroups& tensors,
                 const Chunk& chunk) {
  using C = Compute<T>;
  const double step = static_cast<double>(scalars.step);
  const double correction1 = 1 - std::pow(params.beta1, step), correction2 = 1 - std::pow(params.beta2, step);
  AdamFactors<C> f;
  f.gradScale = static_cast<C>(scalars.gradScale);
  f.coupledDecay = static_cast<C>(params.decoupled ? 0 : params.weightDecay);
  f.oneMinusBeta1 = static_cast<C>(1 - params.beta1);
  f.beta2 = static_cast<C>(params.beta2);
  f.oneMinusBeta2 = static_cast<C>(1 - params.beta2);
  f.rootCorrection = static_cast<C>(1 / std::sqrt(correction2));
  f.eps = static_cast<C>(params.eps);
  f.keep = static_cast<C>(params.decoupled ? 1 - scalars.rate * params.weightDecay : 1);
  f.stepSize = static_cast<C>(scalars.rate / correction1);
  HEDDLE_DISPATCH(adamChunk<T>)
  (f, tensors.input<T>(0, chunk), tensors.input<T>(1, chunk), tensors.input<C>(2, chunk), tensors.input<C>(3, chunk),
   tensors.output<T>(0, chunk), tensors.output<C>(1, chunk), tensors.output<C>(2, chunk), chunk.count);
}

template <typename T>
void updateChunk(const SgdParams& params, const StepScalars& scalars, const TensorGroups& tensors, const Chunk& chunk) {
  using C = Compute<T>;
  const SgdFactors<C> f{static_cast<C>(scalars.gradScale),
                        static_cast<C>(params.weightDecay),
                        static_cast<C>(params.momentum),
                        static_cast<C>(1 - params.dampening),
                        static_cast<C>(scalars.rate),
                        scalars.step == 1,
                        params.nesterov};
  const bool moving = params.momentum != 0;
  HEDDLE_DISPATCH(sgdChunk<T>)
  (f, tensors.input<T>(0, chunk), tensors.input<T>(1, chunk), moving ? tensors.input<C>(2, chunk) : nullptr,
   tensors.output<T>(0, chunk), moving ? tensors.output<C>(1, chunk) : nullptr, chunk.count);
}

template <typename T>
void copyChunk(const T* from, T* to, int64_t count) {
  if (from != to) std::copy_n(from, count, to);
}

/// A step that does not apply: results that are not the very memory of their operands are what those were.
template <typename T>
void keepChunk(size_t states, const TensorGroups& tensors, const Chunk& chunk) {
  using C = Compute<T>;
  copyChunk(tensors.input<T>(0, chunk), tensors.output<T>(0, chunk), chunk.count);
  for (size_t s = 0; s < states; s++)
    copyChunk(tensors.input<C>(2 + s, chunk), tensors.output<C>(1 + s, chunk), chunk.count);
}

/// A step of the optimizer whose parameters these are.
template <typename Params>
class OptimizerStep : public Kernel {
 public:
  OptimizerStep(const char* op, const Params& params, size_t states, Specs tensors)
      : op_(op), params_(params), states_(states), chunks_(chunksOf(tensors)) {}

  void run(const RunOperands& operands) override {
    const StepScalarKinds kinds(params_);
    const StepScalars scalars(operands, kinds);
    const TensorGroups tensors{operands.inputs.data() + kinds.count(), operands.outputs.data(),
                               static_cast<size_t>(params_.count)};
    eachChunk(op_, chunks_, [&](auto tag, const Chunk& chunk, int64_t) {
      using T = typename decltype(tag)::type;
      if (scalars.applies)
        updateChunk<T>(params_, scalars, tensors, chunk);
      else
        keepChunk<T>(states_, tensors, chunk);
    });
  }

 private:
  const char* op_;
  Params params_;
  size_t states_;  // tensors per parameter
  std::vector<Chunk> chunks_;
};

class GlobalNorm : public Kernel {
 public:
  GlobalNorm(Specs tensors, bool wide) : chunks_(chunksOf(tensors)), wide_(wide) {}

  size_t workspaceBytes() const override { return chunks_.size() * sizeof(double); }

  // Chunks are fixed and their sums are added in order, whatever the number of threads.
  void run(const RunOperands& operands) override {
    auto* sums = static_cast<double*>(operands.workspace);
    eachChunk("globalNorm", chunks_, [&](auto tag, const Chunk& chunk, int64_t i) {
      using T = typename decltype(tag)::type;
      const T* x = static_cast<const T*>(operands.inputs[chunk.tensor]) + chunk.first;
      sums[i] = HEDDLE_DISPATCH(sumOfSquares<T>)(x, chunk.count);
    });
    double total = 0;
    for (size_t i = 0; i < chunks_.size(); i++) total += sums[i];
    const double norm = std::sqrt(total);
    if (wide_)
      *static_cast<double*>(operands.outputs[0]) = norm;
    else
      *static_cast<float*>(operands.outputs[0]) = static_cast<float>(norm);
  }

 private:
  std::vector<Chunk> chunks_;
  bool wide_;  // the result is f64
};

template <typename Params>
std::unique_ptr<Kernel> makeStep(const char* op, const Params& params, size_t states, Specs in, Specs out) {
  const Specs tensors = readOptimizer(op, params.count, states, StepScalarKinds(params), in, out);
  return std::make_unique<OptimizerStep<Params>>(op, params, states, tensors);
}

std::unique_ptr<Kernel> makeAdam(WordReader& words, Specs in, Specs out) {
  return makeStep("adam", AdamParams::read(words), 2, in, out);
}

std::unique_ptr<Kernel> makeSgd(WordReader& words, Specs in, Specs out) {
  const SgdParams params = SgdParams::read(words);
  return makeStep("sgd", params, params.momentum != 0 ? 1 : 0, in, out);
}

std::unique_ptr<Kernel> makeGlobalNorm(WordReader& words, Specs in, Specs out) {
  return std::make_unique<GlobalNorm>(in, readGlobalNorm(GlobalNormParams::read(words).wide, in, out));
}

}  // namespace

void registerOptimizers(KernelTable& table) {
  table.add(OpId::adam, makeAdam);
  table.add(OpId::sgd, makeSgd);
  table.add(OpId::globalNorm, makeGlobalNorm);
}

}  // namespace heddle
