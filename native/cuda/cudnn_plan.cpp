// From a graph to the heuristics, to engine configurations, to a plan, to what it is run with.
#include "cudnn_plan.h"

#include <algorithm>

#include "context.h"
#include "launch.h"
#include "trial.h"

namespace heddle::cuda::dnn {

namespace {

constexpr int64_t kAlignment = 16;
// More suggestions than this are not looked at.
constexpr int64_t kMostConfigs = 24;
constexpr int64_t kMostKnobs = 64;

/// Sums are f32's own: no operands rounded to TF32 (nor its tensor cores) unless that was asked for, no sums of 16
/// bits, none that differ from run to run, and no transforms, whose results are not exact where sums of products would
/// be.
bool keepsPromises(const std::vector<int>& notes, DType dtype) {
  return std::none_of(notes.begin(), notes.end(), [&](int note) {
    if (note == kNoteTensorCore || note == kNoteDownConvertInputs)
      return dtype == DType::f32 ? !tensorFloat32Allowed() : note == kNoteDownConvertInputs;
    return note == kNoteReducedPrecisionReduction || note == kNoteFourier || note == kNoteNondeterministic ||
           (note >= kNoteWinograd && note <= kNoteWinograd13);
  });
}

/// "3 2=1 14=4": the engine's number and its settings.
std::string nameOf(const Descriptor& engine, const Descriptor& config) {
  std::string name = std::to_string(engine.integer(kEngineIndex));
  for (const Descriptor& choice : config.descriptors(kConfigKnobChoices, kKnobChoice, kMostKnobs))
    name += " " + std::to_string(choice.enumerator(kKnobType, kTypeKnob)) + "=" +
            std::to_string(choice.integer(kKnobValue));
  return name;
}

std::vector<Descriptor> suggestions(const Graph& graph, int mode) {
  try {
    Descriptor heuristics(kEngineHeuristics);
    heuristics.setDescriptor(kHeuristicsGraph, graph.descriptor());
    heuristics.setEnum(kHeuristicsMode, kTypeHeuristicsMode, mode);
    heuristics.finalize();
    return heuristics.descriptors(kHeuristicsResults, kEngineConfig, kMostConfigs);
  } catch (const Error& refused) {
    if (refused.code != ErrorCode::unsupported) throw;
    return {};
  }
}

}  // namespace

int typeOf(const char* op, DType dtype) {
  switch (dtype) {
    case DType::f32: return kFloat;
    case DType::f64: return kDouble;
    case DType::bf16: return kBFloat16;
    case DType::f16: return kHalf;
    default: throwUnsupported(op, dtype);
  }
}

const Descriptor& Graph::tensor(int64_t id, int type, const std::vector<int64_t>& shape,
                                const std::vector<int64_t>& strides, Place place) {
  Descriptor& made = make(kTensor);
  made.setEnum(kTensorType, kTypeDataType, type);
  made.setIntegers(kTensorExtents, shape);
  made.setIntegers(kTensorStrides, strides);
  made.setInteger(kTensorId, id);
  made.setInteger(kTensorAlignment, kAlignment);
  const bool yes = true;
  if (place == Place::inside) made.set(kTensorVirtual, kTypeBoolean, 1, &yes);
  if (place == Place::value) made.set(kTensorByValue, kTypeBoolean, 1, &yes);
  made.finalize();
  return made;
}

void Graph::add(Descriptor& operation) {
  operation.finalize();
  operations_.push_back(operation.raw());
}

void Graph::finalize() {
  graph_.setHandle(kGraphHandle);
  graph_.set(kGraphOperations, kTypeDescriptor, static_cast<int64_t>(operations_.size()), operations_.data());
  graph_.finalize();
}

std::vector<Engine> enginesOf(const std::shared_ptr<const Graph>& graph, DType dtype, const std::string& prefix) {
  std::vector<Engine> engines;
  for (const int mode : {kHeuristicsA, kHeuristicsFallback})
    for (Descriptor& config : suggestions(*graph, mode)) {
      Descriptor engine(kEngine);
      config.get(kConfigEngine, engine);
      if (!keepsPromises(engine.enumerators(kEngineNumericalNotes, kTypeNumericalNote), dtype)) continue;
      const std::vector<int> behaviour = engine.enumerators(kEngineBehaviourNotes, kTypeBehaviourNote);
      const bool compiled = std::count(behaviour.begin(), behaviour.end(), kNoteRuntimeCompilation) > 0;
      const std::string name = prefix + nameOf(engine, config);
      const auto same = [&](const Engine& other) { return other.name == name; };
      if (std::any_of(engines.begin(), engines.end(), same)) continue;
      engines.push_back({name, compiled, std::make_shared<const Descriptor>(std::move(config)), graph});
    }
  return engines;
}

std::optional<Engine> engineOf(const std::shared_ptr<const Graph>& graph, int64_t index, std::span<const Knob> knobs,
                               const std::string& prefix) {
  try {
    Descriptor engine(kEngine);
    engine.setDescriptor(kEngineGraph, graph->descriptor());
    engine.setInteger(kEngineIndex, index);
    engine.finalize();
    std::vector<Descriptor> choices;
    std::vector<RawDescriptor> raw;
    for (const Knob& knob : knobs) {
      Descriptor& choice = choices.emplace_back(kKnobChoice);
      choice.setEnum(kKnobType, kTypeKnob, knob.type);
      choice.setInteger(kKnobValue, knob.value);
      choice.finalize();
      raw.push_back(choice.raw());
    }
    const auto config = std::make_shared<Descriptor>(kEngineConfig);
    config->setDescriptor(kConfigEngine, engine);
    config->set(kConfigKnobChoices, kTypeDescriptor, static_cast<int64_t>(raw.size()), raw.data());
    config->finalize();
    return Engine{prefix + nameOf(engine, *config), false, config, graph};
  } catch (const Error& refused) {
    if (refused.code != ErrorCode::unsupported) throw;
    return std::nullopt;
  }
}

Plan::Plan(const Engine& engine) : engine_(engine), plan_(kExecutionPlan) {
  plan_.setHandle(kPlanHandle);
  plan_.setDescriptor(kPlanConfig, *engine_.config);
  plan_.finalize();
  workspaceBytes_ = static_cast<size_t>(plan_.integer(kPlanWorkspaceBytes));
}

void Plan::run(std::span<const int64_t> ids, std::span<void* const> addresses, void* workspace) {
  const bool same = pack_ && last_.back() == workspace && std::equal(addresses.begin(), addresses.end(), last_.begin());
  if (!same) {
    auto pack = std::make_unique<Descriptor>(kVariantPack);
    const auto count = static_cast<int64_t>(ids.size());
    pack->set(kPackIds, kTypeInt64, count, ids.data());
    pack->set(kPackPointers, kTypePointer, count, addresses.data());
    pack->set(kPackWorkspace, kTypePointer, 1, &workspace);
    pack->finalize();
    pack_ = std::move(pack);
    last_.assign(addresses.begin(), addresses.end());
    last_.push_back(workspace);
  }
  check(functions().execute(handle(), plan_.raw(), pack_->raw()), "cudnnBackendExecute");
  Context& context = Context::current();
  if (context.synchronous) afterLaunch(context, "cudnnBackendExecute");
}

}  // namespace heddle::cuda::dnn
