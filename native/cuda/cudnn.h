// cuDNN's backend interface, declared by hand: what heddle calls of it, and the numbers of its enumerations.
// native/test/cuda/headers compares them with NVIDIA's own header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime.h"

namespace heddle::cuda::dnn {

using Status = int;  // cudnnStatus_t
inline constexpr Status kSuccess = 0;
inline constexpr Status kBadParameter = 2000;
inline constexpr Status kNotSupported = 3000;  // to 3999

// cudnnDataType_t
inline constexpr int kFloat = 0;
inline constexpr int kDouble = 1;
inline constexpr int kHalf = 2;
inline constexpr int kInt32 = 4;
inline constexpr int kBFloat16 = 9;
inline constexpr int kBoolean = 11;

// cudnnConvolutionMode_t
inline constexpr int kCrossCorrelation = 1;

// cudnnPointwiseMode_t
inline constexpr int kPointwiseAdd = 0;
inline constexpr int kPointwiseMultiply = 1;
inline constexpr int kPointwiseDivide = 6;
inline constexpr int kPointwiseSubtract = 9;
inline constexpr int kPointwiseExponential = 13;
inline constexpr int kPointwiseLogarithm = 15;
inline constexpr int kPointwiseNotLess = 303;
inline constexpr int kPointwiseIndex = 501;
inline constexpr int kPointwiseSelect = 601;

// cudnnReduceTensorOp_t
inline constexpr int kReduceAdd = 0;
inline constexpr int kReduceMaximum = 3;

// cudnnBackendDescriptorType_t
inline constexpr int kPointwise = 0;
inline constexpr int kConvolution = 1;
inline constexpr int kEngine = 2;
inline constexpr int kEngineConfig = 3;
inline constexpr int kEngineHeuristics = 4;
inline constexpr int kExecutionPlan = 5;
inline constexpr int kKnobChoice = 7;
inline constexpr int kConvolutionForward = 10;
inline constexpr int kConvolutionBackwardFilter = 11;
inline constexpr int kConvolutionBackwardData = 12;
inline constexpr int kPointwiseOperation = 13;
inline constexpr int kOperationGraph = 15;
inline constexpr int kVariantPack = 16;
inline constexpr int kTensor = 17;
inline constexpr int kProduct = 18;
inline constexpr int kProductOperation = 19;
inline constexpr int kReduction = 21;
inline constexpr int kReductionOperation = 22;
inline constexpr int kReshapeOperation = 31;

// cudnnBackendAttributeName_t
inline constexpr int kPointwiseMode = 0;
inline constexpr int kPointwisePrecision = 1;
inline constexpr int kPointwiseAxis = 9;
inline constexpr int kConvolutionComputeType = 100;
inline constexpr int kConvolutionMode = 101;
inline constexpr int kConvolutionDilations = 102;
inline constexpr int kConvolutionStrides = 103;
inline constexpr int kConvolutionPostPaddings = 104;
inline constexpr int kConvolutionPrePaddings = 105;
inline constexpr int kConvolutionSpatialAxes = 106;
inline constexpr int kHeuristicsMode = 200;
inline constexpr int kHeuristicsGraph = 201;
inline constexpr int kHeuristicsResults = 202;
inline constexpr int kConfigEngine = 300;
inline constexpr int kConfigKnobChoices = 302;
inline constexpr int kPlanHandle = 400;
inline constexpr int kPlanConfig = 401;
inline constexpr int kPlanWorkspaceBytes = 402;
inline constexpr int kKnobType = 600;
inline constexpr int kKnobValue = 601;
inline constexpr int kForwardAlpha = 700;
inline constexpr int kForwardBeta = 701;
inline constexpr int kForwardConvolution = 702;
inline constexpr int kForwardWeight = 703;
inline constexpr int kForwardX = 704;
inline constexpr int kForwardY = 705;
inline constexpr int kDataAlpha = 706;
inline constexpr int kDataBeta = 707;
inline constexpr int kDataConvolution = 708;
inline constexpr int kDataWeight = 709;
inline constexpr int kDataDx = 710;
inline constexpr int kDataDy = 711;
inline constexpr int kFilterAlpha = 712;
inline constexpr int kFilterBeta = 713;
inline constexpr int kFilterConvolution = 714;
inline constexpr int kFilterDw = 715;
inline constexpr int kFilterX = 716;
inline constexpr int kFilterDy = 717;
inline constexpr int kPointwiseDescriptor = 750;
inline constexpr int kPointwiseX = 751;
inline constexpr int kPointwiseB = 752;
inline constexpr int kPointwiseY = 753;
inline constexpr int kPointwiseCondition = 758;
inline constexpr int kGraphHandle = 800;
inline constexpr int kGraphOperations = 801;
inline constexpr int kTensorAlignment = 900;
inline constexpr int kTensorType = 901;
inline constexpr int kTensorExtents = 902;
inline constexpr int kTensorStrides = 903;
inline constexpr int kTensorId = 906;
inline constexpr int kTensorVirtual = 907;
inline constexpr int kTensorByValue = 908;
inline constexpr int kPackIds = 1000;
inline constexpr int kPackPointers = 1001;
inline constexpr int kPackWorkspace = 1003;
inline constexpr int kEngineGraph = 1300;
inline constexpr int kEngineIndex = 1301;
inline constexpr int kEngineNumericalNotes = 1303;
inline constexpr int kEngineBehaviourNotes = 1305;
inline constexpr int kProductPrecision = 1500;
inline constexpr int kProductA = 1520;
inline constexpr int kProductB = 1521;
inline constexpr int kProductC = 1522;
inline constexpr int kProductDescriptor = 1523;
inline constexpr int kReductionOperator = 1600;
inline constexpr int kReductionPrecision = 1601;
inline constexpr int kReductionX = 1610;
inline constexpr int kReductionY = 1611;
inline constexpr int kReductionDescriptor = 1612;
inline constexpr int kReshapeX = 2200;
inline constexpr int kReshapeY = 2201;

// cudnnBackendAttributeType_t
inline constexpr int kTypeHandle = 0;
inline constexpr int kTypeDataType = 1;
inline constexpr int kTypeBoolean = 2;
inline constexpr int kTypeInt64 = 3;
inline constexpr int kTypeFloat = 4;
inline constexpr int kTypeDouble = 5;
inline constexpr int kTypePointer = 6;
inline constexpr int kTypeConvolutionMode = 7;
inline constexpr int kTypeHeuristicsMode = 8;
inline constexpr int kTypeKnob = 9;
inline constexpr int kTypeNumericalNote = 11;
inline constexpr int kTypePointwiseMode = 14;
inline constexpr int kTypeDescriptor = 15;
inline constexpr int kTypeReduction = 18;
inline constexpr int kTypeBehaviourNote = 19;

// cudnnBackendHeurMode_t
inline constexpr int kHeuristicsFallback = 2;
inline constexpr int kHeuristicsA = 3;

// cudnnBackendKnobType_t
inline constexpr int kKnobStages = 14;
inline constexpr int kKnobKernel = 24;

// cudnnBackendNumericalNote_t
inline constexpr int kNoteTensorCore = 0;
inline constexpr int kNoteDownConvertInputs = 1;
inline constexpr int kNoteReducedPrecisionReduction = 2;
inline constexpr int kNoteFourier = 3;
inline constexpr int kNoteNondeterministic = 4;
inline constexpr int kNoteWinograd = 5;
inline constexpr int kNoteWinograd13 = 8;  // the last of Winograd's

// cudnnBackendBehaviorNote_t
inline constexpr int kNoteRuntimeCompilation = 0;

using Handle = struct HandleOpaque*;
using RawDescriptor = void*;  // cudnnBackendDescriptor_t

/// The library's functions by their names without `cudnn` and `cudnnBackend`.
struct Functions {
  size_t (*getVersion)();
  void (*getLastErrorString)(char* message, size_t capacity);
  const char* (*getErrorString)(Status);
  Status (*create)(Handle*);
  Status (*setStream)(Handle, cudaStream_t);
  Status (*createDescriptor)(int type, RawDescriptor*);
  Status (*destroyDescriptor)(RawDescriptor);
  Status (*finalize)(RawDescriptor);
  Status (*setAttribute)(RawDescriptor, int name, int type, int64_t count, const void* elements);
  Status (*getAttribute)(RawDescriptor, int name, int type, int64_t capacity, int64_t* count, void* elements);
  Status (*execute)(Handle, RawDescriptor plan, RawDescriptor variantPack);
};

/// The library, opened at first use. Throws Error unsupported with the places looked at where there is none.
const Functions& functions();

/// The current device's handle, which queues on the device's stream.
Handle handle();

/// "cuDNN 91900", part of what a measured choice depends on.
std::string version();

/// Whether a call was understood but cannot be done: by this engine, for these operands, on this device.
inline bool isUnsupported(Status status) { return status >= 3000 && status < 4000; }

/// Throws Error internal, with the library's own words, where a call failed.
void check(Status status, const char* what);

/// A descriptor of the backend interface: attributes are set, then it is finalized.
class Descriptor {
 public:
  explicit Descriptor(int type);
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Descriptor();

  RawDescriptor raw() const { return raw_; }

  void set(int name, int type, int64_t count, const void* elements);
  void setEnum(int name, int type, int value) { set(name, type, 1, &value); }
  void setInteger(int name, int64_t value) { set(name, kTypeInt64, 1, &value); }
  void setIntegers(int name, const std::vector<int64_t>& values);
  void setDescriptor(int name, const Descriptor& value) { set(name, kTypeDescriptor, 1, &value.raw_); }
  void setHandle(int name);
  void finalize();

  int64_t integer(int name) const;
  int enumerator(int name, int type) const;
  /// Up to 64 enumerators, of attributes that hold a list: where there is one value cuDNN must be asked for one.
  std::vector<int> enumerators(int name, int type) const;
  /// Fills in a descriptor this one holds.
  void get(int name, Descriptor& value) const;
  /// The descriptors of `type` this one holds, at most `most`.
  std::vector<Descriptor> descriptors(int name, int type, int64_t most) const;

 private:
  RawDescriptor raw_ = nullptr;
};

}  // namespace heddle::cuda::dnn
