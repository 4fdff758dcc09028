// Compares native/cuda/cublaslt.h with the real header; compiling it is the test.
#include <cublasLt.h>

#include "../../../cuda/cublaslt.h"
#include "same_abi.h"

namespace lt = heddle::cuda::lt;
using heddle::test::sameAbi;

static_assert(lt::kSuccess == CUBLAS_STATUS_SUCCESS);
static_assert(lt::kAllocationFailed == CUBLAS_STATUS_ALLOC_FAILED);
static_assert(lt::kInvalidValue == CUBLAS_STATUS_INVALID_VALUE);
static_assert(lt::kNotSupported == CUBLAS_STATUS_NOT_SUPPORTED);

static_assert(lt::kReal32 == CUDA_R_32F);
static_assert(lt::kReal64 == CUDA_R_64F);
static_assert(lt::kReal16 == CUDA_R_16F);
static_assert(lt::kRealBFloat16 == CUDA_R_16BF);

static_assert(lt::kCompute32 == CUBLAS_COMPUTE_32F);
static_assert(lt::kCompute32FastTensorFloat32 == CUBLAS_COMPUTE_32F_FAST_TF32);
static_assert(lt::kCompute64 == CUBLAS_COMPUTE_64F);

static_assert(lt::kPlain == CUBLAS_OP_N);
static_assert(lt::kTransposed == CUBLAS_OP_T);

static_assert(lt::kTransposeA == CUBLASLT_MATMUL_DESC_TRANSA);
static_assert(lt::kTransposeB == CUBLASLT_MATMUL_DESC_TRANSB);
static_assert(lt::kEpilogue == CUBLASLT_MATMUL_DESC_EPILOGUE);
static_assert(lt::kBiasPointer == CUBLASLT_MATMUL_DESC_BIAS_POINTER);

static_assert(lt::kEpilogueNone == CUBLASLT_EPILOGUE_DEFAULT);
static_assert(lt::kEpilogueBias == CUBLASLT_EPILOGUE_BIAS);

static_assert(lt::kBatchCount == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
static_assert(lt::kBatchStride == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);

static_assert(lt::kMostWorkspaceBytes == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(lt::kReductionSchemes == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
static_assert(lt::kLeastAlignmentA == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
static_assert(lt::kLeastAlignmentB == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
static_assert(lt::kLeastAlignmentC == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
static_assert(lt::kLeastAlignmentD == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);

static_assert(lt::kReduceInComputeType == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);

static_assert(sizeof(lt::Algorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(lt::HeuristicResult) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(lt::HeuristicResult, algorithm) == offsetof(cublasLtMatmulHeuristicResult_t, algo));
static_assert(offsetof(lt::HeuristicResult, workspaceBytes) ==
              offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(lt::HeuristicResult, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(offsetof(lt::HeuristicResult, waves) == offsetof(cublasLtMatmulHeuristicResult_t, wavesCount));

static_assert(sameAbi(&lt::Functions::getVersion, &cublasLtGetVersion));
static_assert(sameAbi(&lt::Functions::create, &cublasLtCreate));
static_assert(sameAbi(&lt::Functions::matmulDescCreate, &cublasLtMatmulDescCreate));
static_assert(sameAbi(&lt::Functions::matmulDescDestroy, &cublasLtMatmulDescDestroy));
static_assert(sameAbi(&lt::Functions::matmulDescSetAttribute, &cublasLtMatmulDescSetAttribute));
static_assert(sameAbi(&lt::Functions::matrixLayoutCreate, &cublasLtMatrixLayoutCreate));
static_assert(sameAbi(&lt::Functions::matrixLayoutDestroy, &cublasLtMatrixLayoutDestroy));
static_assert(sameAbi(&lt::Functions::matrixLayoutSetAttribute, &cublasLtMatrixLayoutSetAttribute));
static_assert(sameAbi(&lt::Functions::matmulPreferenceCreate, &cublasLtMatmulPreferenceCreate));
static_assert(sameAbi(&lt::Functions::matmulPreferenceDestroy, &cublasLtMatmulPreferenceDestroy));
static_assert(sameAbi(&lt::Functions::matmulPreferenceSetAttribute, &cublasLtMatmulPreferenceSetAttribute));
static_assert(sameAbi(&lt::Functions::matmulAlgoGetHeuristic, &cublasLtMatmulAlgoGetHeuristic));
static_assert(sameAbi(&lt::Functions::matmul, &cublasLtMatmul));
