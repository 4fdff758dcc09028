// Descriptors are made from the tensors up.
#include "conv_graph.h"

#include <array>

namespace heddle::cuda {

namespace {

enum TensorId : int64_t { kX = 1, kWeight, kY, kBias, kSum };

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

/// 1 or 0 in the type of the sums.
void setScale(dnn::Descriptor& operation, int name, double value, int computeType) {
  const auto narrow = static_cast<float>(value);
  if (computeType == dnn::kDouble)
    operation.set(name, dnn::kTypeDouble, 1, &value);
  else
    operation.set(name, dnn::kTypeFloat, 1, &narrow);
}

/// Adds y = sum + bias.
void addBias(dnn::Graph& graph, const PackedConv& conv, const dnn::Descriptor& sum, int type) {
  std::vector<int64_t> shape(conv.y.size(), 1);
  shape[1] = conv.y[1];
  const dnn::Descriptor& bias = graph.tensor(kBias, type, shape, packedStrides(shape, conv.channelsLast));
  const dnn::Descriptor& y = graph.tensor(kY, type, conv.y, packedStrides(conv.y, conv.channelsLast));
  dnn::Descriptor& addition = graph.make(dnn::kPointwise);
  addition.setEnum(dnn::kPointwiseMode, dnn::kTypePointwiseMode, dnn::kPointwiseAdd);
  addition.setEnum(dnn::kPointwisePrecision, dnn::kTypeDataType, dnn::kFloat);
  addition.finalize();
  dnn::Descriptor& operation = graph.make(dnn::kPointwiseOperation);
  operation.setDescriptor(dnn::kPointwiseDescriptor, addition);
  operation.setDescriptor(dnn::kPointwiseX, sum);
  operation.setDescriptor(dnn::kPointwiseB, bias);
  operation.setDescriptor(dnn::kPointwiseY, y);
  graph.add(operation);
}

std::shared_ptr<const dnn::Graph> graphOf(const PackedConv& conv) {
  const auto made = std::make_shared<dnn::Graph>();
  dnn::Graph& graph = *made;
  const int type = dnn::typeOf("conv", conv.dtype);
  const int computeType = conv.dtype == DType::f64 ? dnn::kDouble : dnn::kFloat;
  const bool added = conv.bias == GraphBias::added;
  const auto packed = [&](const std::vector<int64_t>& shape) { return packedStrides(shape, conv.channelsLast); };
  const dnn::Descriptor& x = graph.tensor(kX, type, conv.x, packed(conv.x));
  const dnn::Descriptor& weight = graph.tensor(kWeight, type, conv.weight, packed(conv.weight));
  const dnn::Descriptor& sum = added ? graph.tensor(kSum, computeType, conv.y, packed(conv.y), dnn::Place::inside)
                                     : graph.tensor(kY, type, conv.y, packed(conv.y));
  dnn::Descriptor& convolution = graph.make(dnn::kConvolution);
  convolution.setInteger(dnn::kConvolutionSpatialAxes, static_cast<int64_t>(conv.stride.size()));
  convolution.setEnum(dnn::kConvolutionComputeType, dnn::kTypeDataType, computeType);
  convolution.setEnum(dnn::kConvolutionMode, dnn::kTypeConvolutionMode, dnn::kCrossCorrelation);
  convolution.setIntegers(dnn::kConvolutionPrePaddings, conv.padding);
  convolution.setIntegers(dnn::kConvolutionPostPaddings, conv.padding);
  convolution.setIntegers(dnn::kConvolutionDilations, conv.dilation);
  convolution.setIntegers(dnn::kConvolutionStrides, conv.stride);
  convolution.finalize();

  const OperationNames names = namesOf(conv.direction);
  dnn::Descriptor& operation = graph.make(names.type);
  operation.setDescriptor(names.convolution, convolution);
  operation.setDescriptor(names.x, x);
  operation.setDescriptor(names.weight, weight);
  operation.setDescriptor(names.y, sum);
  setScale(operation, names.alpha, 1, computeType);
  setScale(operation, names.beta, conv.bias == GraphBias::accumulated ? 1 : 0, computeType);
  graph.add(operation);
  if (added) addBias(graph, conv, sum, type);
  graph.finalize();
  return made;
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

std::vector<dnn::Engine> enginesOf(const PackedConv& conv) {
  std::shared_ptr<const dnn::Graph> graph;
  try {
    graph = graphOf(conv);
  } catch (const Error& refused) {
    if (refused.code != ErrorCode::unsupported) throw;
    return {};
  }
  return dnn::enginesOf(graph, conv.dtype, prefixOf(conv));
}

void ConvPlan::run(const ConvPointers& pointers) {
  const std::array<int64_t, 4> ids{kX, kWeight, kY, kBias};
  const std::array<void*, 4> addresses{pointers.x, pointers.weight, pointers.y, pointers.bias};
  const size_t count = pointers.bias ? 4 : 3;
  plan_.run(std::span(ids).first(count), std::span(addresses).first(count), pointers.workspace);
}

}  // namespace heddle::cuda
