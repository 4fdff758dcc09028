// Plays libcudnn's backend interface: the descriptors, checked as they are set and finalized, and the engines that its
// heuristics suggest for a graph. cudnn_convolution.cpp and cudnn_attention.cpp run it.
#include "../../cuda/cudnn.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "cudnn_problem.h"
#include "cudnn_rules.h"

#define HEDDLE_EXPORT extern "C" __attribute__((visibility("default")))

namespace heddle::cuda::dnn {

struct HandleOpaque {
  cudaStream_t stream = nullptr;
};

namespace {

using emulation::Engine;
using emulation::Problem;

constexpr Status kNotFinalized = 2004;
constexpr Status kOutOfBound = 2005;
constexpr Status kShapeMismatch = 2008;
constexpr Status kAttributeType = 2010;
constexpr Status kDescriptorType = 2012;

/// What a raw descriptor points to: several may share what they hold.
struct Holder {
  std::shared_ptr<Impl> impl;
};

Impl& implOf(RawDescriptor raw) { return *static_cast<Holder*>(raw)->impl; }

std::string lastError;

Status fail(Status status, const std::string& reason) {
  lastError = reason;
  return status;
}

Status finalizeTensor(const Impl& tensor) {
  const auto shape = tensor.values<int64_t>(kTensorExtents), strides = tensor.values<int64_t>(kTensorStrides);
  if (shape.size() < 3 || shape.size() != strides.size())
    return fail(kBadParameter, "a tensor needs 3 axes or more and as many strides");
  for (size_t axis = 0; axis < shape.size(); axis++)
    if (shape[axis] < 1 || strides[axis] < 1) return fail(kOutOfBound, "extents and strides must be positive");
  const auto alignment = tensor.value<int64_t>(kTensorAlignment);
  if (alignment < 1 || (alignment & (alignment - 1)) != 0) return fail(kBadParameter, "alignment: a power of two");
  return kSuccess;
}

Status finalizeConvolution(const Impl& convolution) {
  const auto axes = static_cast<size_t>(convolution.value<int64_t>(kConvolutionSpatialAxes));
  for (int name : {kConvolutionPrePaddings, kConvolutionPostPaddings, kConvolutionDilations, kConvolutionStrides})
    if (convolution.values<int64_t>(name).size() != axes)
      return fail(kBadParameter, "lists must have one number for each spatial axis");
  return kSuccess;
}

Engine engineOf(int index, int knob) {
  return index < emulation::kFirstAttentionEngine ? emulation::convolutionEngine(index, knob)
                                                  : emulation::attentionEngine(index, knob);
}

/// What a graph asks for; null where no engine knows it.
std::shared_ptr<const Problem> problemOf(const Impl& graph) {
  if (auto convolution = emulation::convolutionOf(graph)) return convolution;
  return emulation::attentionOf(graph);
}

/// How many operands an operation between elements has besides x.
Status finalizePointwise(const Impl& operation) {
  const int mode = operation.part(kPointwiseDescriptor).value<int>(kPointwiseMode);
  const bool alone = mode == kPointwiseExponential || mode == kPointwiseLogarithm || mode == kPointwiseIndex;
  if (operation.has(kPointwiseB) == alone) return fail(kBadParameter, "b: of operations on two tensors alone");
  if (operation.has(kPointwiseCondition) != (mode == kPointwiseSelect))
    return fail(kBadParameter, "a condition: of a selection alone");
  if (mode == kPointwiseIndex && !operation.part(kPointwiseDescriptor).has(kPointwiseAxis))
    return fail(kBadParameter, "an axis to count along");
  return kSuccess;
}

Status finalizeGraph(const Impl& graph) {
  const auto problem = problemOf(graph);
  if (!problem) return kSuccess;  // the heuristics will know no engine
  if (const char* mistake = problem->mistake()) return fail(kShapeMismatch, mistake);
  return kSuccess;
}

Status finalizeHeuristics(Impl& heuristics) {
  const int mode = heuristics.value<int>(kHeuristicsMode);
  if (mode != kHeuristicsA && mode != kHeuristicsFallback) return fail(kBadParameter, "an unknown mode");
  const auto problem = problemOf(heuristics.part(kHeuristicsGraph));
  if (!problem) return fail(kNotSupported, "no engine: the pattern");
  if (problem->suggestions(mode == kHeuristicsFallback).empty())
    return fail(kNotSupported, "no engine for the operands");
  return kSuccess;
}

struct PlanParts {
  std::shared_ptr<const Problem> problem;
  Engine engine;
};

/// An engine configuration, as the heuristics fill it in.
std::shared_ptr<Impl> configOf(const std::shared_ptr<Impl>& graph, const Engine& engine) {
  auto config = std::make_shared<Impl>(Impl{kEngineConfig, true, {}});
  const std::vector<int> numbers{engine.index, engine.knob};
  Attribute chosen{-1, 2, std::vector<char>(8), {graph}};
  std::memcpy(chosen.bytes.data(), numbers.data(), 8);
  config->attributes[kConfigEngine] = chosen;
  return config;
}

PlanParts partsOf(const Impl& config) {
  const Attribute& chosen = config.attributes.at(kConfigEngine);
  int numbers[2];
  std::memcpy(numbers, chosen.bytes.data(), 8);
  return {problemOf(*chosen.descriptors.front()), engineOf(numbers[0], numbers[1])};
}

Status finalizePlan(const Impl& plan) {
  const Impl& config = plan.part(kPlanConfig);
  if (config.type != kEngineConfig) return fail(kDescriptorType, "a plan is made of an engine configuration");
  const PlanParts parts = partsOf(config);
  if (const char* reason = parts.problem->refusal(parts.engine)) return fail(kNotSupported, reason);
  return kSuccess;
}

template <typename Value>
Status give(const std::vector<Value>& values, int64_t capacity, int64_t* count, void* elements) {
  *count = static_cast<int64_t>(values.size());
  const auto copied = static_cast<size_t>(std::min(capacity, *count));
  if (elements && copied > 0) std::memcpy(elements, values.data(), copied * sizeof(Value));
  return kSuccess;
}

}  // namespace

}  // namespace heddle::cuda::dnn

using namespace heddle::cuda::dnn;

HEDDLE_EXPORT size_t cudnnGetVersion() { return 91900; }
HEDDLE_EXPORT const char* cudnnGetErrorString(Status status) {
  static thread_local char text[32];
  std::snprintf(text, sizeof text, "status %d", status);
  return text;
}
HEDDLE_EXPORT void cudnnGetLastErrorString(char* message, size_t capacity) {
  std::snprintf(message, capacity, "%s", lastError.c_str());
}
HEDDLE_EXPORT Status cudnnCreate(Handle* handle) { return *handle = new HandleOpaque, kSuccess; }
HEDDLE_EXPORT Status cudnnSetStream(Handle handle, cudaStream_t stream) { return handle->stream = stream, kSuccess; }

HEDDLE_EXPORT Status cudnnBackendCreateDescriptor(int type, RawDescriptor* made) {
  return *made = new Holder{std::make_shared<Impl>(Impl{type, false, {}})}, kSuccess;
}
HEDDLE_EXPORT Status cudnnBackendDestroyDescriptor(RawDescriptor raw) {
  return delete static_cast<Holder*>(raw), kSuccess;
}

HEDDLE_EXPORT Status cudnnBackendSetAttribute(RawDescriptor raw, int name, int type, int64_t count,
                                              const void* elements) {
  Impl& impl = implOf(raw);
  if (impl.finalized) return fail(kBadParameter, "a finalized descriptor cannot be changed");
  const auto rule = std::find_if(std::begin(kRules), std::end(kRules), [&](const Rule& candidate) {
    return candidate.descriptor == impl.type && candidate.name == name;
  });
  if (rule == std::end(kRules)) return fail(kBadParameter, "the descriptor has no such attribute");
  if (rule->type != type && !(isScale(name) && type == kTypeDouble)) return fail(kAttributeType, "another type");
  if (count < 1 || count > rule->most || !elements) return fail(kBadParameter, "a wrong count of elements");
  Attribute attribute{type, count, {}, {}};
  const auto* bytes = static_cast<const char*>(elements);
  attribute.bytes.assign(bytes, bytes + static_cast<size_t>(count) * bytesOfType(type));
  if (type == kTypeDescriptor)
    for (int64_t i = 0; i < count; i++) {
      const auto& part = static_cast<Holder*>(static_cast<const RawDescriptor*>(elements)[i])->impl;
      if (!part->finalized) return fail(kNotFinalized, "a descriptor in it is not finalized");
      attribute.descriptors.push_back(part);
    }
  impl.attributes[name] = std::move(attribute);
  return kSuccess;
}

HEDDLE_EXPORT Status cudnnBackendFinalize(RawDescriptor raw) {
  Impl& impl = implOf(raw);
  if (impl.finalized) return fail(kBadParameter, "it is finalized already");
  for (const Rule& rule : kRules)
    if (rule.descriptor == impl.type && rule.needed && !impl.has(rule.name))
      return fail(kBadParameter, "attribute " + std::to_string(rule.name) + " is missing");
  Status status = kSuccess;
  if (impl.type == kTensor) status = finalizeTensor(impl);
  if (impl.type == kConvolution) status = finalizeConvolution(impl);
  if (impl.type == kPointwiseOperation) status = finalizePointwise(impl);
  // None of those that are chosen by number supports this device.
  if (impl.type == kEngine) status = fail(kNotSupported, "the engine does not support the device");
  if (impl.type == kOperationGraph) status = finalizeGraph(impl);
  if (impl.type == kEngineHeuristics) status = finalizeHeuristics(impl);
  if (impl.type == kExecutionPlan) status = finalizePlan(impl);
  if (impl.type == kVariantPack && impl.values<int64_t>(kPackIds).size() != impl.values<void*>(kPackPointers).size())
    status = fail(kBadParameter, "as many pointers as ids");
  impl.finalized = status == kSuccess;
  return status;
}

HEDDLE_EXPORT Status cudnnBackendGetAttribute(RawDescriptor raw, int name, int type, int64_t capacity, int64_t* count,
                                              void* elements) {
  Impl& impl = implOf(raw);
  if (!impl.finalized) return fail(kNotFinalized, "only finalized descriptors are asked");
  if (impl.type == kEngineHeuristics && name == kHeuristicsResults && type == kTypeDescriptor) {
    const auto& graph = impl.attributes.at(kHeuristicsGraph).descriptors.front();
    const auto engines = problemOf(*graph)->suggestions(impl.value<int>(kHeuristicsMode) == kHeuristicsFallback);
    *count = std::min(capacity, static_cast<int64_t>(engines.size()));
    for (int64_t i = 0; i < *count; i++)
      static_cast<Holder*>(static_cast<RawDescriptor*>(elements)[i])->impl =
          configOf(graph, engines[static_cast<size_t>(i)]);
    return kSuccess;
  }
  if (impl.type == kEngineConfig && name == kConfigEngine && type == kTypeDescriptor) {
    const auto engine = std::make_shared<Impl>(Impl{kEngine, true, {{kEngineIndex, impl.attributes.at(name)}}});
    static_cast<Holder*>(*static_cast<RawDescriptor*>(elements))->impl = engine;
    return *count = 1, kSuccess;
  }
  if (impl.type == kEngineConfig && name == kConfigKnobChoices && type == kTypeDescriptor) {
    if (capacity < 1) return fail(kBadParameter, "room for the choices");
    const auto choice =
        std::make_shared<Impl>(Impl{kKnobChoice, true, {{kKnobValue, impl.attributes.at(kConfigEngine)}}});
    static_cast<Holder*>(*static_cast<RawDescriptor*>(elements))->impl = choice;
    return *count = 1, kSuccess;
  }
  const auto engineAt = [&](int attribute) {
    int numbers[2];
    std::memcpy(numbers, impl.attributes.at(attribute).bytes.data(), 8);
    return engineOf(numbers[0], numbers[1]);
  };
  // Of attributes that hold one value cuDNN gives neither more nor less.
  const auto giveOne = [&](auto value) {
    if (capacity != 1) return fail(kBadParameter, "1 != requestedElemCount");
    return give(std::vector{value}, capacity, count, elements);
  };
  if (impl.type == kKnobChoice && name == kKnobType && type == kTypeKnob) return giveOne(2);
  if (impl.type == kKnobChoice && name == kKnobValue && type == kTypeInt64)
    return giveOne(int64_t{engineAt(kKnobValue).knob});
  if (impl.type == kEngine && name == kEngineIndex && type == kTypeInt64)
    return giveOne(int64_t{engineAt(kEngineIndex).index});
  if (impl.type == kEngine && name == kEngineNumericalNotes && type == kTypeNumericalNote)
    return give(engineAt(kEngineIndex).numericalNotes, capacity, count, elements);
  if (impl.type == kEngine && name == kEngineBehaviourNotes && type == kTypeBehaviourNote)
    return give(engineAt(kEngineIndex).behaviourNotes, capacity, count, elements);
  if (impl.type == kExecutionPlan && name == kPlanWorkspaceBytes && type == kTypeInt64) {
    const PlanParts parts = partsOf(impl.part(kPlanConfig));
    return giveOne(parts.problem->workspaceBytes(parts.engine));
  }
  return fail(kBadParameter, "the descriptor does not give this attribute");
}

HEDDLE_EXPORT Status cudnnBackendExecute(Handle handle, RawDescriptor plan, RawDescriptor pack) {
  const Impl& given = implOf(pack);
  if (!implOf(plan).finalized || !given.finalized) return fail(kNotFinalized, "plan and pack must be finalized");
  const PlanParts parts = partsOf(implOf(plan).part(kPlanConfig));
  const auto ids = given.values<int64_t>(kPackIds);
  const auto pointers = given.values<void*>(kPackPointers);
  heddle::emulation::Tensors tensors;
  for (size_t i = 0; i < ids.size(); i++) tensors[ids[i]] = pointers[i];
  const auto workspace = given.value<void*>(kPackWorkspace);
  if (const char* reason = parts.problem->refusal(parts.engine, tensors, workspace)) return fail(kBadParameter, reason);
  heddle::emulation::enqueue(handle->stream, parts.problem->work(parts.engine, tensors, workspace));
  return kSuccess;
}
