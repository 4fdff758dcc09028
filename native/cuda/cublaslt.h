// cuBLASLt, declared by hand: what heddle calls of it, and the numbers of its enumerations. native/test/cuda/headers
// compares them with NVIDIA's own header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "runtime.h"

namespace heddle::cuda::lt {

using Status = int;  // cublasStatus_t
inline constexpr Status kSuccess = 0;
inline constexpr Status kAllocationFailed = 3;
inline constexpr Status kInvalidValue = 7;
inline constexpr Status kNotSupported = 15;

// cudaDataType_t
inline constexpr int kReal32 = 0;
inline constexpr int kReal64 = 1;
inline constexpr int kReal16 = 2;
inline constexpr int kRealBFloat16 = 14;

// cublasComputeType_t
inline constexpr int kCompute32 = 68;
inline constexpr int kCompute32FastTensorFloat32 = 77;
inline constexpr int kCompute64 = 70;

// cublasOperation_t
inline constexpr int32_t kPlain = 0;
inline constexpr int32_t kTransposed = 1;

// cublasLtMatmulDescAttributes_t
inline constexpr int kTransposeA = 3;   // int32_t
inline constexpr int kTransposeB = 4;   // int32_t
inline constexpr int kEpilogue = 7;     // uint32_t
inline constexpr int kBiasPointer = 8;  // const void*

// cublasLtEpilogue_t
inline constexpr uint32_t kEpilogueNone = 1;
inline constexpr uint32_t kEpilogueBias = 4;

// cublasLtMatrixLayoutAttribute_t
inline constexpr int kBatchCount = 5;   // int32_t
inline constexpr int kBatchStride = 6;  // int64_t, in elements

// cublasLtMatmulPreferenceAttributes_t
inline constexpr int kMostWorkspaceBytes = 1;  // uint64_t
inline constexpr int kReductionSchemes = 3;    // uint32_t
inline constexpr int kLeastAlignmentA = 5;     // uint32_t, in bytes; of B, C and D the next three
inline constexpr int kLeastAlignmentB = 6;
inline constexpr int kLeastAlignmentC = 7;
inline constexpr int kLeastAlignmentD = 8;

// cublasLtReductionScheme_t
inline constexpr uint32_t kReduceInComputeType = 2;

/// cublasLtMatmulAlgo_t: may be stored, for the same version of the library.
struct Algorithm {
  uint64_t data[8];
};

/// cublasLtMatmulHeuristicResult_t
struct HeuristicResult {
  Algorithm algorithm;
  size_t workspaceBytes;
  Status state;
  float waves;
  int reserved[4];
};

// Handles and descriptors are pointers to what only the library knows.
using Handle = struct HandleOpaque*;
using MatmulDescriptor = struct MatmulDescriptorOpaque*;
using Layout = struct LayoutOpaque*;
using Preference = struct PreferenceOpaque*;

/// The library's functions by their names without `cublasLt`.
struct Functions {
  size_t (*getVersion)();
  Status (*create)(Handle*);
  Status (*matmulDescCreate)(MatmulDescriptor*, int computeType, int scaleType);
  Status (*matmulDescDestroy)(MatmulDescriptor);
  Status (*matmulDescSetAttribute)(MatmulDescriptor, int attribute, const void* value, size_t bytes);
  Status (*matrixLayoutCreate)(Layout*, int type, uint64_t rows, uint64_t columns, int64_t leading);
  Status (*matrixLayoutDestroy)(Layout);
  Status (*matrixLayoutSetAttribute)(Layout, int attribute, const void* value, size_t bytes);
  Status (*matmulPreferenceCreate)(Preference*);
  Status (*matmulPreferenceDestroy)(Preference);
  Status (*matmulPreferenceSetAttribute)(Preference, int attribute, const void* value, size_t bytes);
  Status (*matmulAlgoGetHeuristic)(Handle, MatmulDescriptor, Layout a, Layout b, Layout c, Layout d, Preference,
                                   int wanted, HeuristicResult* results, int* found);
  Status (*matmul)(Handle, MatmulDescriptor, const void* alpha, const void* a, Layout, const void* b, Layout,
                   const void* beta, const void* c, Layout, void* d, Layout, const Algorithm*, void* workspace,
                   size_t workspaceBytes, cudaStream_t);
};

/// The library, opened at first use. Throws Error unsupported with the places looked at where there is none.
const Functions& functions();

/// The current device's handle.
Handle handle();

/// "cuBLASLt 130100", part of what a measured choice depends on.
std::string version();

/// Throws Error internal where a call failed.
void check(Status status, const char* what);

/// Owns a descriptor; `destroy` is its function in the table.
template <typename Type, Status (*Functions::*destroy)(Type)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Type value) : value_(value) {}
  Owned(Owned&& other) noexcept : value_(std::exchange(other.value_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Owned() {
    if (value_) (functions().*destroy)(value_);
  }
  Type get() const { return value_; }

 private:
  Type value_ = nullptr;
};

using OwnedDescriptor = Owned<MatmulDescriptor, &Functions::matmulDescDestroy>;
using OwnedLayout = Owned<Layout, &Functions::matrixLayoutDestroy>;
using OwnedPreference = Owned<Preference, &Functions::matmulPreferenceDestroy>;

}  // namespace heddle::cuda::lt
