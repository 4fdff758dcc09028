// Compares native/cuda/cudnn.h with the real header; compiling it is the test.
#include <cudnn_graph.h>

#include "../../../cuda/cudnn.h"
#include "same_abi.h"

namespace dnn = heddle::cuda::dnn;
using heddle::test::sameAbi;

static_assert(dnn::kSuccess == CUDNN_STATUS_SUCCESS);
static_assert(dnn::kBadParameter == CUDNN_STATUS_BAD_PARAM);
static_assert(dnn::kNotSupported == CUDNN_STATUS_NOT_SUPPORTED);

static_assert(dnn::kFloat == CUDNN_DATA_FLOAT);
static_assert(dnn::kDouble == CUDNN_DATA_DOUBLE);
static_assert(dnn::kHalf == CUDNN_DATA_HALF);
static_assert(dnn::kInt32 == CUDNN_DATA_INT32);
static_assert(dnn::kBoolean == CUDNN_DATA_BOOLEAN);
static_assert(dnn::kBFloat16 == CUDNN_DATA_BFLOAT16);

static_assert(dnn::kCrossCorrelation == CUDNN_CROSS_CORRELATION);
static_assert(dnn::kPointwiseAdd == CUDNN_POINTWISE_ADD);
static_assert(dnn::kPointwiseMultiply == CUDNN_POINTWISE_MUL);
static_assert(dnn::kPointwiseDivide == CUDNN_POINTWISE_DIV);
static_assert(dnn::kPointwiseSubtract == CUDNN_POINTWISE_SUB);
static_assert(dnn::kPointwiseExponential == CUDNN_POINTWISE_EXP);
static_assert(dnn::kPointwiseLogarithm == CUDNN_POINTWISE_LOG);
static_assert(dnn::kPointwiseNotLess == CUDNN_POINTWISE_CMP_GE);
static_assert(dnn::kPointwiseIndex == CUDNN_POINTWISE_GEN_INDEX);
static_assert(dnn::kPointwiseSelect == CUDNN_POINTWISE_BINARY_SELECT);
static_assert(dnn::kReduceAdd == CUDNN_REDUCE_TENSOR_ADD);
static_assert(dnn::kReduceMaximum == CUDNN_REDUCE_TENSOR_MAX);

static_assert(dnn::kPointwise == CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
static_assert(dnn::kConvolution == CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
static_assert(dnn::kEngine == CUDNN_BACKEND_ENGINE_DESCRIPTOR);
static_assert(dnn::kEngineConfig == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
static_assert(dnn::kEngineHeuristics == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
static_assert(dnn::kExecutionPlan == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
static_assert(dnn::kKnobChoice == CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
static_assert(dnn::kConvolutionForward == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
static_assert(dnn::kConvolutionBackwardFilter == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
static_assert(dnn::kConvolutionBackwardData == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
static_assert(dnn::kPointwiseOperation == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
static_assert(dnn::kOperationGraph == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
static_assert(dnn::kVariantPack == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
static_assert(dnn::kTensor == CUDNN_BACKEND_TENSOR_DESCRIPTOR);
static_assert(dnn::kProduct == CUDNN_BACKEND_MATMUL_DESCRIPTOR);
static_assert(dnn::kProductOperation == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
static_assert(dnn::kReduction == CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
static_assert(dnn::kReductionOperation == CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
static_assert(dnn::kReshapeOperation == CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);

static_assert(dnn::kPointwiseMode == CUDNN_ATTR_POINTWISE_MODE);
static_assert(dnn::kPointwisePrecision == CUDNN_ATTR_POINTWISE_MATH_PREC);
static_assert(dnn::kPointwiseAxis == CUDNN_ATTR_POINTWISE_AXIS);
static_assert(dnn::kConvolutionComputeType == CUDNN_ATTR_CONVOLUTION_COMP_TYPE);
static_assert(dnn::kConvolutionMode == CUDNN_ATTR_CONVOLUTION_CONV_MODE);
static_assert(dnn::kConvolutionDilations == CUDNN_ATTR_CONVOLUTION_DILATIONS);
static_assert(dnn::kConvolutionStrides == CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
static_assert(dnn::kConvolutionPostPaddings == CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
static_assert(dnn::kConvolutionPrePaddings == CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
static_assert(dnn::kConvolutionSpatialAxes == CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
static_assert(dnn::kHeuristicsMode == CUDNN_ATTR_ENGINEHEUR_MODE);
static_assert(dnn::kHeuristicsGraph == CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
static_assert(dnn::kHeuristicsResults == CUDNN_ATTR_ENGINEHEUR_RESULTS);
static_assert(dnn::kConfigEngine == CUDNN_ATTR_ENGINECFG_ENGINE);
static_assert(dnn::kConfigKnobChoices == CUDNN_ATTR_ENGINECFG_KNOB_CHOICES);
static_assert(dnn::kPlanHandle == CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
static_assert(dnn::kPlanConfig == CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
static_assert(dnn::kPlanWorkspaceBytes == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
static_assert(dnn::kKnobType == CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE);
static_assert(dnn::kKnobValue == CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE);
static_assert(dnn::kForwardAlpha == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA);
static_assert(dnn::kForwardBeta == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA);
static_assert(dnn::kForwardConvolution == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
static_assert(dnn::kForwardWeight == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
static_assert(dnn::kForwardX == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X);
static_assert(dnn::kForwardY == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
static_assert(dnn::kDataAlpha == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA);
static_assert(dnn::kDataBeta == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA);
static_assert(dnn::kDataConvolution == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC);
static_assert(dnn::kDataWeight == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W);
static_assert(dnn::kDataDx == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX);
static_assert(dnn::kDataDy == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY);
static_assert(dnn::kFilterAlpha == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA);
static_assert(dnn::kFilterBeta == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA);
static_assert(dnn::kFilterConvolution == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC);
static_assert(dnn::kFilterDw == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW);
static_assert(dnn::kFilterX == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X);
static_assert(dnn::kFilterDy == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY);
static_assert(dnn::kPointwiseDescriptor == CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
static_assert(dnn::kPointwiseX == CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
static_assert(dnn::kPointwiseB == CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
static_assert(dnn::kPointwiseY == CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
static_assert(dnn::kPointwiseCondition == CUDNN_ATTR_OPERATION_POINTWISE_TDESC);
static_assert(dnn::kGraphHandle == CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
static_assert(dnn::kGraphOperations == CUDNN_ATTR_OPERATIONGRAPH_OPS);
static_assert(dnn::kTensorAlignment == CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
static_assert(dnn::kTensorType == CUDNN_ATTR_TENSOR_DATA_TYPE);
static_assert(dnn::kTensorExtents == CUDNN_ATTR_TENSOR_DIMENSIONS);
static_assert(dnn::kTensorStrides == CUDNN_ATTR_TENSOR_STRIDES);
static_assert(dnn::kTensorId == CUDNN_ATTR_TENSOR_UNIQUE_ID);
static_assert(dnn::kTensorVirtual == CUDNN_ATTR_TENSOR_IS_VIRTUAL);
static_assert(dnn::kTensorByValue == CUDNN_ATTR_TENSOR_IS_BY_VALUE);
static_assert(dnn::kPackIds == CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
static_assert(dnn::kPackPointers == CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
static_assert(dnn::kPackWorkspace == CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
static_assert(dnn::kEngineIndex == CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
static_assert(dnn::kEngineNumericalNotes == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE);
static_assert(dnn::kEngineBehaviourNotes == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE);
static_assert(dnn::kEngineGraph == CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
static_assert(dnn::kProductPrecision == CUDNN_ATTR_MATMUL_COMP_TYPE);
static_assert(dnn::kProductA == CUDNN_ATTR_OPERATION_MATMUL_ADESC);
static_assert(dnn::kProductB == CUDNN_ATTR_OPERATION_MATMUL_BDESC);
static_assert(dnn::kProductC == CUDNN_ATTR_OPERATION_MATMUL_CDESC);
static_assert(dnn::kProductDescriptor == CUDNN_ATTR_OPERATION_MATMUL_DESC);
static_assert(dnn::kReductionOperator == CUDNN_ATTR_REDUCTION_OPERATOR);
static_assert(dnn::kReductionPrecision == CUDNN_ATTR_REDUCTION_COMP_TYPE);
static_assert(dnn::kReductionX == CUDNN_ATTR_OPERATION_REDUCTION_XDESC);
static_assert(dnn::kReductionY == CUDNN_ATTR_OPERATION_REDUCTION_YDESC);
static_assert(dnn::kReductionDescriptor == CUDNN_ATTR_OPERATION_REDUCTION_DESC);
static_assert(dnn::kReshapeX == CUDNN_ATTR_OPERATION_RESHAPE_XDESC);
static_assert(dnn::kReshapeY == CUDNN_ATTR_OPERATION_RESHAPE_YDESC);

static_assert(dnn::kTypeHandle == CUDNN_TYPE_HANDLE);
static_assert(dnn::kTypeDataType == CUDNN_TYPE_DATA_TYPE);
static_assert(dnn::kTypeBoolean == CUDNN_TYPE_BOOLEAN);
static_assert(dnn::kTypeInt64 == CUDNN_TYPE_INT64);
static_assert(dnn::kTypeFloat == CUDNN_TYPE_FLOAT);
static_assert(dnn::kTypeDouble == CUDNN_TYPE_DOUBLE);
static_assert(dnn::kTypePointer == CUDNN_TYPE_VOID_PTR);
static_assert(dnn::kTypeConvolutionMode == CUDNN_TYPE_CONVOLUTION_MODE);
static_assert(dnn::kTypeHeuristicsMode == CUDNN_TYPE_HEUR_MODE);
static_assert(dnn::kTypeKnob == CUDNN_TYPE_KNOB_TYPE);
static_assert(dnn::kTypeNumericalNote == CUDNN_TYPE_NUMERICAL_NOTE);
static_assert(dnn::kTypePointwiseMode == CUDNN_TYPE_POINTWISE_MODE);
static_assert(dnn::kTypeDescriptor == CUDNN_TYPE_BACKEND_DESCRIPTOR);
static_assert(dnn::kTypeReduction == CUDNN_TYPE_REDUCTION_OPERATOR_TYPE);
static_assert(dnn::kTypeBehaviourNote == CUDNN_TYPE_BEHAVIOR_NOTE);

static_assert(dnn::kHeuristicsFallback == CUDNN_HEUR_MODE_FALLBACK);
static_assert(dnn::kHeuristicsA == CUDNN_HEUR_MODE_A);

static_assert(dnn::kKnobStages == CUDNN_KNOB_TYPE_STAGES);
static_assert(dnn::kKnobKernel == CUDNN_KNOB_TYPE_KERNEL_CFG);

static_assert(dnn::kNoteTensorCore == CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
static_assert(dnn::kNoteDownConvertInputs == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
static_assert(dnn::kNoteReducedPrecisionReduction == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
static_assert(dnn::kNoteFourier == CUDNN_NUMERICAL_NOTE_FFT);
static_assert(dnn::kNoteNondeterministic == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
static_assert(dnn::kNoteWinograd == CUDNN_NUMERICAL_NOTE_WINOGRAD);
static_assert(dnn::kNoteWinograd13 == CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13);
static_assert(dnn::kNoteRuntimeCompilation == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);

static_assert(sameAbi(&dnn::Functions::getVersion, &cudnnGetVersion));
static_assert(sameAbi(&dnn::Functions::getLastErrorString, &cudnnGetLastErrorString));
static_assert(sameAbi(&dnn::Functions::getErrorString, &cudnnGetErrorString));
static_assert(sameAbi(&dnn::Functions::create, &cudnnCreate));
static_assert(sameAbi(&dnn::Functions::setStream, &cudnnSetStream));
static_assert(sameAbi(&dnn::Functions::createDescriptor, &cudnnBackendCreateDescriptor));
static_assert(sameAbi(&dnn::Functions::destroyDescriptor, &cudnnBackendDestroyDescriptor));
static_assert(sameAbi(&dnn::Functions::finalize, &cudnnBackendFinalize));
static_assert(sameAbi(&dnn::Functions::setAttribute, &cudnnBackendSetAttribute));
static_assert(sameAbi(&dnn::Functions::getAttribute, &cudnnBackendGetAttribute));
static_assert(sameAbi(&dnn::Functions::execute, &cudnnBackendExecute));
