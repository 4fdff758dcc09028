// Convolution by cuDNN. Its engines want all tensors in one memory order and the same padding on both sides: operands
// in another order, and inputs padded unevenly, pass through workspace.
#include <algorithm>
#include <utility>

#include "bias_activation.h"
#include "context.h"
#include "conv.h"
#include "conv_graph.h"
#include "strided_copy.h"

namespace heddle::cuda {
namespace {

// Of each way to describe a problem so many engines are compared, and of all of them so many that compile code first.
constexpr int kMostPlans = 4;
constexpr int kMostCompiledPlans = 2;
constexpr size_t kMostWorkspaceBytes = size_t{256} << 20;
constexpr size_t kWorkspaceAlignment = 256;
constexpr uintptr_t kOperandAlignment = 16;

size_t alignUp(size_t bytes) { return (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment; }

/// With an axis of extent 1 before a single spatial axis: cuDNN has engines for two and three.
ConvProblem lifted(ConvProblem p) {
  if (p.spatialRank() > 1) return p;
  for (TensorSpec* spec : {&p.x, &p.weight, &p.y}) {
    spec->shape.insert(spec->shape.begin() + 2, 1);
    spec->strides.insert(spec->strides.begin() + 2, 0);
  }
  for (auto* list : {&p.stride, &p.dilation}) list->insert(list->begin(), 1);
  for (auto* list : {&p.paddingLow, &p.paddingHigh}) list->insert(list->begin(), 0);
  return p;
}

/// One operand as it lies and as the plan wants it.
struct Side {
  int64_t elementBytes;
  bool direct;     // both are the same
  bool padded;     // the plan's has zeros around the operand
  size_t bytes;    // of the plan's in workspace
  int64_t before;  // bytes of it before the operand's first element
  StridedCopy in, out;

  /// `extents` are those the plan wants; the operand starts at `start` in them.
  Side(const TensorSpec& spec, const std::vector<int64_t>& extents, const std::vector<int64_t>& start,
       bool channelsLast)
      : Side(spec, extents, start, packedStrides(extents, channelsLast)) {}

  void queueCopyIn(const void* from, void* to) const {
    if (padded) check(cudaMemsetAsync(to, 0, bytes, Context::current().stream), "padding a convolution's input");
    in.run("conv", from, static_cast<char*>(to) + before);
  }
  void queueCopyOut(const void* from, void* to) const { out.run("conv", static_cast<const char*>(from) + before, to); }

 private:
  Side(const TensorSpec& spec, const std::vector<int64_t>& extents, const std::vector<int64_t>& start,
       const std::vector<int64_t>& strides)
      : elementBytes(bytesOf(spec.dtype)),
        direct(extents == spec.shape),
        padded(extents != spec.shape),
        before(0),
        in(spec.shape, spec.strides, strides, elementBytes),
        out(spec.shape, strides, spec.strides, elementBytes) {
    for (size_t axis = 0; axis < extents.size(); axis++) {
      direct = direct && (extents[axis] == 1 || strides[axis] == spec.strides[axis]);
      before += start[axis] * strides[axis] * elementBytes;
    }
    bytes = direct ? 0 : alignUp(static_cast<size_t>(product(extents) * elementBytes));
  }
};

/// A problem with all that does not depend on the engine.
struct Arrangement {
  ConvProblem problem;
  ConvDirection direction;
  PackedConv packed;
  Side x, weight, y;

  static Arrangement of(const ConvProblem& given, ConvDirection direction, bool channelsLast, GraphBias bias) {
    const ConvProblem p = lifted(given);
    const size_t rank = p.spatialRank();
    // What one side is padded more than the other is put into a copy of x.
    std::vector<int64_t> even, extents = p.x.shape, start(rank + 2, 0), none(rank + 2, 0);
    for (size_t i = 0; i < rank; i++) {
      even.push_back(std::min(p.paddingLow[i], p.paddingHigh[i]));
      extents[i + 2] += p.paddingLow[i] + p.paddingHigh[i] - 2 * even[i];
      start[i + 2] = p.paddingLow[i] - even[i];
    }
    return {given,
            direction,
            {direction, p.x.dtype, channelsLast, extents, p.weight.shape, p.y.shape, p.stride, even, p.dilation, bias},
            Side(p.x, extents, start, channelsLast),
            Side(p.weight, p.weight.shape, none, channelsLast),
            Side(p.y, p.y.shape, none, channelsLast)};
  }

  size_t copyBytes() const { return x.bytes + weight.bytes + y.bytes; }
  /// Whether a bias or an activation is left to our kernel.
  bool finished() const {
    return packed.bias == GraphBias::none && (problem.hasBias || problem.activation != Activation::none);
  }
  ChannelWalk walk() const {
    const int64_t channels = packed.y[1];
    const int64_t elements = product(packed.y);
    return {elements, packed.channelsLast ? 1 : elements / (packed.y[0] * channels), channels};
  }
};

class ConvLibrary : public Kernel {
 public:
  ConvLibrary(std::shared_ptr<const Arrangement> arrangement, const dnn::Engine& engine)
      : a_(std::move(arrangement)), plan_(engine) {}

  size_t planBytes() const { return plan_.workspaceBytes(); }
  size_t workspaceBytes() const override {
    const size_t bytes = a_->copyBytes() + alignUp(biasBytes()) + plan_.workspaceBytes();
    return bytes == 0 ? 0 : bytes + kWorkspaceAlignment;
  }

  void run(const RunOperands& operands) override {
    const ConvPointers given = operandsOf(operands);
    if (!fits(given.x) || !fits(given.weight) || !fits(given.y)) {
      // Operands that begin anywhere, as slices may, are known only now; no engine was asked for them.
      if (!misaligned_) misaligned_ = makeConvGeneral(a_->problem, a_->direction);
      return misaligned_->run(operands);
    }
    char* next = reinterpret_cast<char*>(alignUp(reinterpret_cast<size_t>(operands.workspace)));
    const auto place = [&](const Side& side, void* operand, ConvDirection computed) -> void* {
      if (side.direct) return operand;
      void* copy = std::exchange(next, next + side.bytes);
      if (a_->direction != computed) side.queueCopyIn(operand, copy);
      return copy;
    };
    ConvPointers at{};
    at.x = place(a_->x, given.x, ConvDirection::inputGrad);
    at.weight = place(a_->weight, given.weight, ConvDirection::weightGrad);
    at.y = place(a_->y, given.y, ConvDirection::forward);
    if (a_->packed.bias == GraphBias::added) at.bias = alignedBias(given.bias, next);
    at.workspace = next + alignUp(biasBytes());
    const DType dtype = a_->problem.x.dtype;
    if (a_->packed.bias == GraphBias::accumulated)
      queueBiasActivation(dtype, nullptr, given.bias, at.y, a_->walk(), Activation::none);
    plan_.run(at);
    if (a_->finished()) queueBiasActivation(dtype, at.y, given.bias, at.y, a_->walk(), a_->problem.activation);
    if (at.x != given.x && a_->direction == ConvDirection::inputGrad) a_->x.queueCopyOut(at.x, given.x);
    if (at.weight != given.weight && a_->direction == ConvDirection::weightGrad)
      a_->weight.queueCopyOut(at.weight, given.weight);
    if (at.y != given.y && a_->direction == ConvDirection::forward) a_->y.queueCopyOut(at.y, given.y);
  }

 private:
  ConvPointers operandsOf(const RunOperands& operands) const {
    const auto input = [&](size_t i) { return const_cast<void*>(operands.inputs[i]); };
    void* const output = operands.outputs[0];
    switch (a_->direction) {
      case ConvDirection::inputGrad: return {output, input(1), input(0), nullptr, nullptr};
      case ConvDirection::weightGrad: return {input(0), output, input(1), nullptr, nullptr};
      default: return {input(0), input(1), output, a_->problem.hasBias ? input(2) : nullptr, nullptr};
    }
  }

  static bool fits(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % kOperandAlignment == 0; }

  /// Of the bias that the graph adds: its copy, which only some runs make.
  size_t biasBytes() const {
    if (a_->packed.bias != GraphBias::added) return 0;
    return static_cast<size_t>(a_->packed.y[1] * bytesOf(a_->packed.dtype));
  }
  void* alignedBias(void* bias, void* copy) const {
    if (fits(bias)) return bias;
    check(cudaMemcpyAsync(copy, bias, biasBytes(), cudaMemcpyDeviceToDevice, Context::current().stream),
          "aligning a bias");
    return copy;
  }

  const std::shared_ptr<const Arrangement> a_;
  ConvPlan plan_;
  std::unique_ptr<Kernel> misaligned_;
};

/// How many plans of a group have been made.
struct Quota {
  int plans = 0;
};

std::unique_ptr<Kernel> makePlan(const std::shared_ptr<const Arrangement>& arrangement, const dnn::Engine& engine,
                                 Quota& group, Quota& compiled) {
  if (group.plans >= kMostPlans || (engine.compiledAtRunTime && compiled.plans >= kMostCompiledPlans)) return nullptr;
  if (engine.compiledAtRunTime) compiled.plans++;
  std::unique_ptr<ConvLibrary> kernel;
  try {
    kernel = std::make_unique<ConvLibrary>(arrangement, engine);
  } catch (const Error& refused) {
    if (refused.code == ErrorCode::deviceLost || refused.code == ErrorCode::outOfMemory) throw;
    return nullptr;
  }
  if (kernel->planBytes() > kMostWorkspaceBytes) return nullptr;
  group.plans++;
  return kernel;
}

bool liesPacked(const TensorSpec& spec, bool channelsLast) {
  return Side(spec, spec.shape, std::vector<int64_t>(spec.shape.size(), 0), channelsLast).direct;
}

}  // namespace

std::vector<TrialCandidate> convPlans(const ConvProblem& problem, ConvDirection direction) {
  dnn::functions();  // without the library there is no kernel, whatever the problem
  const DType dtype = problem.x.dtype;
  const bool half = dtype == DType::bf16 || dtype == DType::f16;
  // A 16-bit result must be rounded once: behind the activation, which no engine here applies.
  if (half && problem.activation != Activation::none) return {};
  std::vector<GraphBias> modes{GraphBias::none};
  if (half && problem.hasBias) modes = {GraphBias::added, GraphBias::accumulated};
  const bool first = liesPacked(problem.x, false) && liesPacked(problem.y, false);
  const bool last = liesPacked(problem.x, true) && liesPacked(problem.y, true);
  // As the operands lie, then the other way.
  const std::vector<bool> orders = first && !last ? std::vector<bool>{false, true} : std::vector<bool>{true, false};
  const auto compiled = std::make_shared<Quota>();
  std::vector<TrialCandidate> candidates;
  for (const bool channelsLast : orders)
    for (const GraphBias mode : modes) {
      const auto arrangement =
          std::make_shared<const Arrangement>(Arrangement::of(problem, direction, channelsLast, mode));
      const auto group = std::make_shared<Quota>();
      for (const dnn::Engine& engine : enginesOf(arrangement->packed))
        candidates.push_back({engine.name, [=] { return makePlan(arrangement, engine, *group, *compiled); }});
    }
  return candidates;
}

}  // namespace heddle::cuda
