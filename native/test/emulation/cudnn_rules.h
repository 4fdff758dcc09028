// Which attributes the emulated cuDNN's descriptors have: their types, counts, and whether they must be set.
#pragma once

#include "../../cuda/cudnn.h"

namespace heddle::cuda::dnn {

struct Rule {
  int descriptor, name, type;
  int64_t most;
  bool needed;
};

inline constexpr Rule kRules[] = {
    {kTensor, kTensorType, kTypeDataType, 1, true},
    {kTensor, kTensorExtents, kTypeInt64, 8, true},
    {kTensor, kTensorStrides, kTypeInt64, 8, true},
    {kTensor, kTensorId, kTypeInt64, 1, true},
    {kTensor, kTensorAlignment, kTypeInt64, 1, true},
    {kTensor, kTensorVirtual, kTypeBoolean, 1, false},
    {kTensor, kTensorByValue, kTypeBoolean, 1, false},
    {kConvolution, kConvolutionSpatialAxes, kTypeInt64, 1, true},
    {kConvolution, kConvolutionComputeType, kTypeDataType, 1, true},
    {kConvolution, kConvolutionMode, kTypeConvolutionMode, 1, true},
    {kConvolution, kConvolutionPrePaddings, kTypeInt64, 3, true},
    {kConvolution, kConvolutionPostPaddings, kTypeInt64, 3, true},
    {kConvolution, kConvolutionDilations, kTypeInt64, 3, true},
    {kConvolution, kConvolutionStrides, kTypeInt64, 3, true},
    {kConvolutionForward, kForwardConvolution, kTypeDescriptor, 1, true},
    {kConvolutionForward, kForwardX, kTypeDescriptor, 1, true},
    {kConvolutionForward, kForwardWeight, kTypeDescriptor, 1, true},
    {kConvolutionForward, kForwardY, kTypeDescriptor, 1, true},
    {kConvolutionForward, kForwardAlpha, kTypeFloat, 1, true},
    {kConvolutionForward, kForwardBeta, kTypeFloat, 1, true},
    {kConvolutionBackwardData, kDataConvolution, kTypeDescriptor, 1, true},
    {kConvolutionBackwardData, kDataDx, kTypeDescriptor, 1, true},
    {kConvolutionBackwardData, kDataWeight, kTypeDescriptor, 1, true},
    {kConvolutionBackwardData, kDataDy, kTypeDescriptor, 1, true},
    {kConvolutionBackwardData, kDataAlpha, kTypeFloat, 1, true},
    {kConvolutionBackwardData, kDataBeta, kTypeFloat, 1, true},
    {kConvolutionBackwardFilter, kFilterConvolution, kTypeDescriptor, 1, true},
    {kConvolutionBackwardFilter, kFilterX, kTypeDescriptor, 1, true},
    {kConvolutionBackwardFilter, kFilterDw, kTypeDescriptor, 1, true},
    {kConvolutionBackwardFilter, kFilterDy, kTypeDescriptor, 1, true},
    {kConvolutionBackwardFilter, kFilterAlpha, kTypeFloat, 1, true},
    {kConvolutionBackwardFilter, kFilterBeta, kTypeFloat, 1, true},
    {kPointwise, kPointwiseMode, kTypePointwiseMode, 1, true},
    {kPointwise, kPointwisePrecision, kTypeDataType, 1, true},
    {kPointwise, kPointwiseAxis, kTypeInt64, 1, false},
    {kPointwiseOperation, kPointwiseDescriptor, kTypeDescriptor, 1, true},
    {kPointwiseOperation, kPointwiseX, kTypeDescriptor, 1, true},
    {kPointwiseOperation, kPointwiseB, kTypeDescriptor, 1, false},
    {kPointwiseOperation, kPointwiseCondition, kTypeDescriptor, 1, false},
    {kPointwiseOperation, kPointwiseY, kTypeDescriptor, 1, true},
    {kProduct, kProductPrecision, kTypeDataType, 1, true},
    {kProductOperation, kProductDescriptor, kTypeDescriptor, 1, true},
    {kProductOperation, kProductA, kTypeDescriptor, 1, true},
    {kProductOperation, kProductB, kTypeDescriptor, 1, true},
    {kProductOperation, kProductC, kTypeDescriptor, 1, true},
    {kReduction, kReductionOperator, kTypeReduction, 1, true},
    {kReduction, kReductionPrecision, kTypeDataType, 1, true},
    {kReductionOperation, kReductionDescriptor, kTypeDescriptor, 1, true},
    {kReductionOperation, kReductionX, kTypeDescriptor, 1, true},
    {kReductionOperation, kReductionY, kTypeDescriptor, 1, true},
    {kReshapeOperation, kReshapeX, kTypeDescriptor, 1, true},
    {kReshapeOperation, kReshapeY, kTypeDescriptor, 1, true},
    {kOperationGraph, kGraphHandle, kTypeHandle, 1, true},
    {kOperationGraph, kGraphOperations, kTypeDescriptor, 64, true},
    {kEngine, kEngineGraph, kTypeDescriptor, 1, true},
    {kEngine, kEngineIndex, kTypeInt64, 1, true},
    {kEngineHeuristics, kHeuristicsGraph, kTypeDescriptor, 1, true},
    {kEngineHeuristics, kHeuristicsMode, kTypeHeuristicsMode, 1, true},
    {kExecutionPlan, kPlanHandle, kTypeHandle, 1, true},
    {kExecutionPlan, kPlanConfig, kTypeDescriptor, 1, true},
    {kVariantPack, kPackIds, kTypeInt64, 64, true},
    {kVariantPack, kPackPointers, kTypePointer, 64, true},
    {kVariantPack, kPackWorkspace, kTypePointer, 1, true},
};

inline size_t bytesOfType(int type) {
  switch (type) {
    case kTypeBoolean: return 1;
    case kTypeDataType:
    case kTypeConvolutionMode:
    case kTypeHeuristicsMode:
    case kTypePointwiseMode:
    case kTypeReduction:
    case kTypeFloat: return 4;
    default: return 8;
  }
}

/// alpha and beta may be doubles too.
inline bool isScale(int name) {
  for (int scale : {kForwardAlpha, kForwardBeta, kDataAlpha, kDataBeta, kFilterAlpha, kFilterBeta})
    if (name == scale) return true;
  return false;
}

}  // namespace heddle::cuda::dnn
