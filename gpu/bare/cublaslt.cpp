// Matrix products by cuBLASLt.
#include <cublasLt.h>

#include <limits>

#include "libraries.h"

namespace bare {

namespace {

constexpr size_t kWorkspaceBytes = size_t{64} << 20;
constexpr int kMostAlgorithms = 16;

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(std::string(what) + ": cuBLASLt status " + std::to_string(status));
}

cudaDataType typeOf(Element element) {
  return element == Element::f32 ? CUDA_R_32F : element == Element::bf16 ? CUDA_R_16BF : CUDA_R_16F;
}

struct Copy {
  Memory a, w, y;
};

}  // namespace

Timing matmul(Element element, int64_t m, int64_t n, int64_t k, int copies) {
  cublasLtHandle_t handle;
  check(cublasLtCreate(&handle), "opening cuBLASLt");
  // f32 in full: CUBLAS_COMPUTE_32F does not round to TF32.
  cublasLtMatmulDesc_t description;
  check(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product");
  // Its matrices are column-major: y^T = w a^T, where w lies as the [k,n] that is to be transposed.
  const cublasOperation_t transposed = CUBLAS_OP_T;
  check(cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
        "describing a product");
  cublasLtMatrixLayout_t w, a, y;
  const auto rows = [](int64_t extent) { return static_cast<uint64_t>(extent); };
  check(cublasLtMatrixLayoutCreate(&w, typeOf(element), rows(k), rows(n), k), "describing a matrix");
  check(cublasLtMatrixLayoutCreate(&a, typeOf(element), rows(k), rows(m), k), "describing a matrix");
  check(cublasLtMatrixLayoutCreate(&y, typeOf(element), rows(n), rows(m), n), "describing a matrix");
  cublasLtMatmulPreference_t preference;
  check(cublasLtMatmulPreferenceCreate(&preference), "asking for algorithms");
  check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspaceBytes,
                                             sizeof kWorkspaceBytes),
        "asking for algorithms");
  cublasLtMatmulHeuristicResult_t found[kMostAlgorithms];
  int count = 0;
  check(cublasLtMatmulAlgoGetHeuristic(handle, description, w, a, y, y, preference, kMostAlgorithms, found, &count),
        "asking for algorithms");
  if (count == 0) throw std::runtime_error("cuBLASLt has no algorithm for this product");

  const auto size = [](int64_t x, int64_t z) { return static_cast<size_t>(x * z); };
  std::vector<Copy> each;
  for (int copy = 0; copy < copies; copy++)
    each.push_back({Memory::random(element, size(m, k)), Memory::random(element, size(n, k)),
                    Memory(size(m, n) * bytesOf(element))});
  const Memory workspace(kWorkspaceBytes);
  const float one = 1, zero = 0;
  const auto run = [&](int algorithm, int copy) {
    const Copy& operands = each[static_cast<size_t>(copy)];
    check(
        cublasLtMatmul(handle, description, &one, operands.w.data(), w, operands.a.data(), a, &zero, operands.y.data(),
                       y, operands.y.data(), y, &found[algorithm].algo, workspace.data(), kWorkspaceBytes, stream()),
        "multiplying");
  };
  int fastest = -1;
  double least = std::numeric_limits<double>::infinity();
  for (int algorithm = 0; algorithm < count; algorithm++) {
    if (found[algorithm].state != CUBLAS_STATUS_SUCCESS) continue;
    const double ms = measure(copies, [&](int copy) { run(algorithm, copy); }, 20, 3).ms;
    if (ms >= least) continue;
    least = ms;
    fastest = algorithm;
  }
  if (fastest < 0) throw std::runtime_error("cuBLASLt runs none of its algorithms for this product");
  return measure(copies, [&](int copy) { run(fastest, copy); });
}

}  // namespace bare
