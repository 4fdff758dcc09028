// Descriptors are made from the tensors up: operation, graph, heuristics, engine configurations, plan, variant pack.
#include "conv_graph.h"

#include <algorithm>

#include "context.h"
#include "launch.h"
#include "trial.h"

namespace heddle::cuda {

namespace {

constexpr int64_t kAlignment = 16;
// More suggestions than this are not looked at.
constexpr int64_t kMostConfigs = 24;
constexpr int64_t kMostKnobs = 64;

enum TensorId : int64_t { kX = 1, kWeight, kY, kBias, kSum };

int typeOf(DType dtype) {
  switch (dtype) {
    case DType::f32: return dnn::kFloat;
    case DType::f64: return dnn::kDouble;
    case DType::bf16: return dnn::kBFloat16;
    case DType::f16: return dnn::kHalf;
    default: throwUnsupported("conv", dtype);
  }
}

/// The attributes of the operation in a direction.
struct OperationNames {
  int type, convolution, x, weight, y, alpha, beta;
};

OperationNames namesOf(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::inputGrad:
      return {dnn::kConvolutionBackwardData,
              dnn::kDataConvolution,
              dnn::kDataDx,
              dnn::kDataWeight,
              dnn::kDataDy,
              dnn::kDataAlpha,
              dnn::kDataBeta};
    case ConvDirection::weightGrad:
      return {dnn::kConvolutionBackwardFilter,
              dnn::kFilterConvolution,
              dnn::kFilterX,
              dnn::kFilterDw,
              dnn::kFilterDy,
              dnn::kFilterAlpha,
              dnn::kFilterBeta};
    default:
      return {dnn::kConvolutionForward, dnn::kForwardConvolution, dnn::kForwardX,   dnn::kForwardWeight,
              dnn::kForwardY,           dnn::kForwardAlpha,       dnn::kForwardBeta};
  }
}

/// The graph with everything it refers to.
class Graph {
 public:
  explicit Graph(const PackedConv& conv) : graph_(dnn::kOperationGraph) {
    const int type = typeOf(conv.dtype);
    const int computeType = conv.dtype == DType::f64 ? dnn::kDouble : dnn::kFloat;
    const bool added = conv.bias == GraphBias::added;
    const dnn::Descriptor& x = tensor(kX, conv.x, conv.channelsLast, type, false);
    const dnn::Descriptor& weight = tensor(kWeight, conv.weight, conv.channelsLast, type, false);
    const dnn::Descriptor& sum = added ? tensor(kSum, conv.y, conv.channelsLast, computeType, true)
                                       : tensor(kY, conv.y, conv.channelsLast, type, false);
    dnn::Descriptor& convolution = make(dnn::kConvolution);
    convolution.setInteger(dnn::kConvolutionSpatialAxes, static_cast<int64_t>(conv.stride.size()));
    convolution.setEnum(dnn::kConvolutionComputeType, dnn::kTypeDataType, computeType);
    convolution.setEnum(dnn::kConvolutionMode, dnn::kTypeConvolutionMode, dnn::kCrossCorrelation);
    convolution.setIntegers(dnn::kConvolutionPrePaddings, conv.padding);
    convolution.setIntegers(dnn::kConvolutionPostPaddings, conv.padding);
    convolution.setIntegers(dnn::kConvolutionDilations, conv.dilation);
    convolution.setIntegers(dnn::kConvolutionStrides, conv.stride);
    convolution.finalize();

    const OperationNames names = namesOf(conv.direction);
    dnn::Descriptor& operation = make(names.type);
    operation.setDescriptor(names.convolution, convolution);
    operation.setDescriptor(names.x, x);
    operation.setDescriptor(names.weight, weight);
    operation.setDescriptor(names.y, sum);
    const double beta = conv.bias == GraphBias::accumulated ? 1 : 0;
    setScale(operation, names.alpha, 1, computeType);
    setScale(operation, names.beta, beta, computeType);
    operation.finalize();
    std::vector<dnn::RawDescriptor> operations{operation.raw()};
    if (added) operations.push_back(addBias(conv, sum, type).raw());
    graph_.setHandle(dnn::kGraphHandle);
    graph_.set(dnn::kGraphOperations, dnn::kTypeDescriptor, static_cast<int64_t>(operations.size()), operations.data());
    graph_.finalize();
  }

  const dnn::Descriptor& descriptor() const { return graph_; }

 private:
  dnn::Descriptor& make(int type) { return *parts_.emplace_back(std::make_unique<dnn::Descriptor>(type)); }

  const dnn::Descriptor& tensor(TensorId id, const std::vector<int64_t>& shape, bool channelsLast, int type,
                                bool isVirtual) {
    dnn::Descriptor& made = make(dnn::kTensor);
    made.setEnum(dnn::kTensorType, dnn::kTypeDataType, type);
    made.setIntegers(dnn::kTensorExtents, shape);
    made.setIntegers(dnn::kTensorStrides, packedStrides(shape, channelsLast));
    made.setInteger(dnn::kTensorId, id);
    made.setInteger(dnn::kTensorAlignment, kAlignment);
    if (isVirtual) made.set(dnn::kTensorVirtual, dnn::kTypeBoolean, 1, &isVirtual);
    made.finalize();
    return made;
  }

  static void setScale(dnn::Descriptor& operation, int name, double value, int computeType) {
    const auto narrow = static_cast<float>(value);
    if (computeType == dnn::kDouble)
      operation.set(name, dnn::kTypeDouble, 1, &value);
    else
      operation.set(name, dnn::kTypeFloat, 1, &narrow);
  }

  const dnn::Descriptor& addBias(const PackedConv& conv, const dnn::Descriptor& sum, int type) {
    std::vector<int64_t> shape(conv.y.size(), 1);
    shape[1] = conv.y[1];
    const dnn::Descriptor& bias = tensor(kBias, shape, conv.channelsLast, type, false);
    const dnn::Descriptor& y = tensor(kY, conv.y, conv.channelsLast, type, false);
    dnn::Descriptor& addition = make(dnn::kPointwise);
    addition.setEnum(dnn::kPointwiseMode, dnn::kTypePointwiseMode, dnn::kPointwiseAdd);
    addition.setEnum(dnn::kPointwisePrecision, dnn::kTypeDataType, dnn::kFloat);
    addition.finalize();
    dnn::Descriptor& operation = make(dnn::kPointwiseOperation);
    operation.setDescriptor(dnn::kPointwiseDescriptor, addition);
    operation.setDescriptor(dnn::kPointwiseX, sum);
    operation.setDescriptor(dnn::kPointwiseB, bias);
    operation.setDescriptor(dnn::kPointwiseY, y);
    operation.finalize();
    return operation;
  }

  std::vector<std::unique_ptr<dnn::Descriptor>> parts_;
  dnn::Descriptor graph_;
};

/// Sums are f32's own: no operands rounded to TF32 (nor its tensor cores) unless that was asked for, no sums of 16
/// bits, none that differ from run to run, and no transforms, whose results are not exact where sums of products would
/// be.
bool keepsPromises(const std::vector<int>& notes, DType dtype) {
  return std::none_of(notes.begin(), notes.end(), [&](int note) {
    if (note == dnn::kNoteTensorCore || note == dnn::kNoteDownConvertInputs)
      return dtype == DType::f32 ? !tensorFloat32Allowed() : note == dnn::kNoteDownConvertInputs;
    return note == dnn::kNoteReducedPrecisionReduction || note == dnn::kNoteFourier ||
           note == dnn::kNoteNondeterministic || (note >= dnn::kNoteWinograd && note <= dnn::kNoteWinograd13);
  });
}

/// "3 2=1 14=4": the engine's number and its settings.
std::string nameOf(const dnn::Descriptor& engine, const dnn::Descriptor& config) {
  std::string name = std::to_string(engine.integer(dnn::kEngineIndex));
  for (const dnn::Descriptor& choice : config.descriptors(dnn::kConfigKnobChoices, dnn::kKnobChoice, kMostKnobs))
    name += " " + std::to_string(choice.enumerator(dnn::kKnobType, dnn::kTypeKnob)) + "=" +
            std::to_string(choice.integer(dnn::kKnobValue));
  return name;
}

std::vector<dnn::Descriptor> suggestions(const Graph& graph, int mode) {
  try {
    dnn::Descriptor heuristics(dnn::kEngineHeuristics);
    heuristics.setDescriptor(dnn::kHeuristicsGraph, graph.descriptor());
    heuristics.setEnum(dnn::kHeuristicsMode, dnn::kTypeHeuristicsMode, mode);
    heuristics.finalize();
    return heuristics.descriptors(dnn::kHeuristicsResults, dnn::kEngineConfig, kMostConfigs);
  } catch (const Error& refused) {
    if (refused.code != ErrorCode::unsupported) throw;
    return {};
  }
}

std::string prefixOf(const PackedConv& conv) {
  std::string prefix = conv.channelsLast ? "channels-last" : "channels-first";
  if (conv.bias == GraphBias::added) prefix += " bias added";
  if (conv.bias == GraphBias::accumulated) prefix += " bias accumulated";
  return prefix + " engine ";
}

}  // namespace

std::vector<int64_t> packedStrides(const std::vector<int64_t>& shape, bool channelsLast) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  if (channelsLast) {
    strides[1] = 1;
    step = shape[1];
  }
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (axis == 1 && channelsLast) continue;
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

std::vector<ConvEngine> enginesOf(const PackedConv& conv) {
  std::shared_ptr<const Graph> graph;
  try {
    graph = std::make_shared<const Graph>(conv);
  } catch (const Error& refused) {
    if (refused.code != ErrorCode::unsupported) throw;
    return {};
  }
  std::vector<ConvEngine> engines;
  for (const int mode : {dnn::kHeuristicsA, dnn::kHeuristicsFallback})
    for (dnn::Descriptor& config : suggestions(*graph, mode)) {
      dnn::Descriptor engine(dnn::kEngine);
      config.get(dnn::kConfigEngine, engine);
      if (!keepsPromises(engine.enumerators(dnn::kEngineNumericalNotes, dnn::kTypeNumericalNote), conv.dtype)) continue;
      const std::vector<int> behaviour = engine.enumerators(dnn::kEngineBehaviourNotes, dnn::kTypeBehaviourNote);
      const bool compiled = std::count(behaviour.begin(), behaviour.end(), dnn::kNoteRuntimeCompilation) > 0;
      const std::string name = prefixOf(conv) + nameOf(engine, config);
      const auto same = [&](const ConvEngine& other) { return other.name == name; };
      if (std::any_of(engines.begin(), engines.end(), same)) continue;
      engines.push_back({name, compiled, std::make_shared<const dnn::Descriptor>(std::move(config)), graph});
    }
  return engines;
}

ConvPlan::ConvPlan(const ConvEngine& engine) : engine_(engine), plan_(dnn::kExecutionPlan) {
  plan_.setHandle(dnn::kPlanHandle);
  plan_.setDescriptor(dnn::kPlanConfig, *engine_.config);
  plan_.finalize();
  workspaceBytes_ = static_cast<size_t>(plan_.integer(dnn::kPlanWorkspaceBytes));
}

void ConvPlan::run(const ConvPointers& pointers) {
  if (!pack_ || last_ != pointers) {
    auto pack = std::make_unique<dnn::Descriptor>(dnn::kVariantPack);
    const int64_t count = pointers.bias ? 4 : 3;
    const std::array<int64_t, 4> ids{kX, kWeight, kY, kBias};
    const std::array<void*, 4> addresses{pointers.x, pointers.weight, pointers.y, pointers.bias};
    pack->set(dnn::kPackIds, dnn::kTypeInt64, count, ids.data());
    pack->set(dnn::kPackPointers, dnn::kTypePointer, count, addresses.data());
    pack->set(dnn::kPackWorkspace, dnn::kTypePointer, 1, &pointers.workspace);
    pack->finalize();
    pack_ = std::move(pack);
    last_ = pointers;
  }
  dnn::check(dnn::functions().execute(dnn::handle(), plan_.raw(), pack_->raw()), "cudnnBackendExecute");
  Context& context = Context::current();
  if (context.synchronous) afterLaunch(context, "cudnnBackendExecute");
}

}  // namespace heddle::cuda
