// One table for the process, one handle per device.
#include "cublaslt.h"

#include <map>
#include <mutex>

#include "context.h"
#include "library.h"

namespace heddle::cuda::lt {

namespace {

Functions load() {
  void* library = openLibrary("libcublasLt.so.13");
  Functions table;
  bind(library, "cublasLtGetVersion", table.getVersion);
  bind(library, "cublasLtCreate", table.create);
  bind(library, "cublasLtMatmulDescCreate", table.matmulDescCreate);
  bind(library, "cublasLtMatmulDescDestroy", table.matmulDescDestroy);
  bind(library, "cublasLtMatmulDescSetAttribute", table.matmulDescSetAttribute);
  bind(library, "cublasLtMatrixLayoutCreate", table.matrixLayoutCreate);
  bind(library, "cublasLtMatrixLayoutDestroy", table.matrixLayoutDestroy);
  bind(library, "cublasLtMatrixLayoutSetAttribute", table.matrixLayoutSetAttribute);
  bind(library, "cublasLtMatmulPreferenceCreate", table.matmulPreferenceCreate);
  bind(library, "cublasLtMatmulPreferenceDestroy", table.matmulPreferenceDestroy);
  bind(library, "cublasLtMatmulPreferenceSetAttribute", table.matmulPreferenceSetAttribute);
  bind(library, "cublasLtMatmulAlgoGetHeuristic", table.matmulAlgoGetHeuristic);
  bind(library, "cublasLtMatmul", table.matmul);
  return table;
}

const char* nameOf(Status status) {
  switch (status) {
    case 1: return "not initialized";
    case kAllocationFailed: return "allocation failed";
    case kInvalidValue: return "invalid value";
    case 8: return "architecture mismatch";
    case 13: return "execution failed";
    case 14: return "internal error";
    case kNotSupported: return "not supported";
    default: return "unknown status";
  }
}

}  // namespace

const Functions& functions() {
  static const Functions table = load();
  return table;
}

// Never destroyed, as devices are not.
Handle handle() {
  static std::mutex mutex;
  static std::map<int, Handle>& handles = *new std::map<int, Handle>;
  const std::lock_guard lock(mutex);
  Handle& handle = handles[Context::current().ordinal];
  if (!handle) check(functions().create(&handle), "cublasLtCreate");
  return handle;
}

std::string version() { return "cuBLASLt " + std::to_string(functions().getVersion()); }

void check(Status status, const char* what) {
  if (status == kSuccess) return;
  const ErrorCode code = status == kAllocationFailed ? ErrorCode::outOfMemory : ErrorCode::internal;
  throw Error(code,
              std::string("cuBLASLt: ") + what + " failed: " + nameOf(status) + " (" + std::to_string(status) + ")");
}

}  // namespace heddle::cuda::lt
