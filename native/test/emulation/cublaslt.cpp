// Plays libcublasLt: the calls that heddle makes of it, with their checks, over plain loops. Three algorithms: one that
// wants everything aligned to 16 bytes, one that takes any alignment, and one that splits k and meets in workspace.
#include "../../cuda/cublaslt.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "../../core/element.h"

#define HEDDLE_EXPORT extern "C" __attribute__((visibility("default")))

namespace heddle::cuda::lt {

struct HandleOpaque {};

struct MatmulDescriptorOpaque {
  int computeType, scaleType;
  int32_t transposeA = kPlain, transposeB = kPlain;
  uint32_t epilogue = kEpilogueNone;
  const void* bias = nullptr;
};

struct LayoutOpaque {
  int type;
  int64_t rows, columns, leading;
  int32_t batchCount = 1;
  int64_t batchStride = 0;
};

struct PreferenceOpaque {
  uint64_t workspaceBytes = 0;
  uint32_t reductionSchemes = 7;
  std::map<int, uint32_t> alignments;
};

namespace {

enum Kind : uint64_t { kVector = 1, kAnyAlignment = 2, kSplit = 3 };

constexpr size_t kWorkspaceAlignment = 256;

int64_t bytesOfType(int type) { return type == kReal64 ? 8 : type == kReal32 ? 4 : 2; }

bool isHalfType(int type) { return type == kReal16 || type == kRealBFloat16; }

/// A call in full; pointers are those of the call or, in the heuristic, null.
struct Call {
  MatmulDescriptorOpaque descriptor;
  LayoutOpaque a, b, out;

  int64_t m() const { return out.rows; }
  int64_t n() const { return out.columns; }
  int64_t k() const { return descriptor.transposeA == kPlain ? a.columns : a.rows; }
};

Status validate(const Call& call, const LayoutOpaque& c) {
  const auto& [descriptor, a, b, out] = call;
  const auto rowsOf = [](const LayoutOpaque& x, int32_t transposed) { return transposed ? x.columns : x.rows; };
  const auto columnsOf = [](const LayoutOpaque& x, int32_t transposed) { return transposed ? x.rows : x.columns; };
  if (rowsOf(a, descriptor.transposeA) != out.rows || columnsOf(b, descriptor.transposeB) != out.columns ||
      columnsOf(a, descriptor.transposeA) != rowsOf(b, descriptor.transposeB))
    return kInvalidValue;
  for (const LayoutOpaque* x : {&a, &b, &c, &out}) {
    if (x->rows < 1 || x->columns < 1 || x->leading < x->rows || x->batchCount < 1) return kInvalidValue;
    if (x->rows > INT32_MAX || x->columns > INT32_MAX || x->leading > INT32_MAX) return kNotSupported;
    if (x->batchCount != out.batchCount) return kInvalidValue;
  }
  if (out.batchCount > 1 && out.batchStride < (out.columns - 1) * out.leading + out.rows) return kInvalidValue;
  if (c.type != out.type || c.rows != out.rows || c.columns != out.columns) return kInvalidValue;
  const bool f64 = descriptor.computeType == kCompute64;
  if (descriptor.scaleType != (f64 ? kReal64 : kReal32)) return kNotSupported;
  if (a.type != b.type) return kNotSupported;
  if (f64 != (a.type == kReal64) || f64 != (out.type == kReal64)) return kNotSupported;
  if (descriptor.computeType == kCompute32FastTensorFloat32 && a.type != kReal32) return kNotSupported;
  if (out.type != a.type && !(isHalfType(a.type) && out.type == kReal32)) return kNotSupported;
  if (descriptor.epilogue == kEpilogueBias && f64) return kNotSupported;
  return kSuccess;
}

bool multipleOf16(const LayoutOpaque& x) {
  const int64_t bytes = bytesOfType(x.type);
  return x.leading * bytes % 16 == 0 && (x.batchCount == 1 || x.batchStride * bytes % 16 == 0);
}

size_t splitBytes(const Call& call) {
  return static_cast<size_t>(2 * call.m() * call.n() * call.out.batchCount) *
         (call.descriptor.computeType == kCompute64 ? 8 : 4);
}

float roundedToTensorFloat32(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0xfffu + ((bits >> 13) & 1u)) & ~0x1fffu;
  return std::bit_cast<float>(bits);
}

/// Calls `function(TypeTag<T>{})` for one of the four types.
template <typename Function>
void dispatch(int type, Function&& function) {
  if (type == kReal32) return function(TypeTag<float>{});
  if (type == kReal64) return function(TypeTag<double>{});
  if (type == kReal16) return function(TypeTag<Float16>{});
  function(TypeTag<BFloat16>{});
}

template <typename T, typename Out>
void multiply(const Call& call, Kind kind, double alpha, double beta, const T* a, const T* b, const Out* c, Out* out,
              void* workspace) {
  using Sum = Compute<T>;
  const bool tensorFloat32 = call.descriptor.computeType == kCompute32FastTensorFloat32;
  const auto operand = [&](const T* matrix, const LayoutOpaque& x, int32_t transposed, int64_t row, int64_t column) {
    const Sum value = load(matrix[transposed ? column + row * x.leading : row + column * x.leading]);
    if constexpr (std::is_same_v<T, float>) return tensorFloat32 ? roundedToTensorFloat32(value) : value;
    return value;
  };
  const int64_t m = call.m(), n = call.n(), k = call.k(), half = kind == kSplit ? (k + 1) / 2 : k;
  auto* partial = static_cast<Sum*>(workspace);
  for (int64_t batch = 0; batch < call.out.batchCount; batch++) {
    const T* matrixA = a + batch * call.a.batchStride;
    const T* matrixB = b + batch * call.b.batchStride;
    for (int64_t j = 0; j < n; j++)
      for (int64_t i = 0; i < m; i++) {
        Sum sums[2] = {0, 0};
        for (int64_t p = 0; p < k; p++)
          sums[p >= half] += operand(matrixA, call.a, call.descriptor.transposeA, i, p) *
                             operand(matrixB, call.b, call.descriptor.transposeB, p, j);
        if (kind == kSplit) {
          Sum* kept = partial + 2 * ((batch * n + j) * m + i);
          kept[0] = sums[0];
          kept[1] = sums[1];
          sums[0] = kept[0] + kept[1];
        }
        const int64_t position = batch * call.out.batchStride + i + j * call.out.leading;
        Sum value = static_cast<Sum>(alpha) * sums[0];
        if (beta != 0) value += static_cast<Sum>(beta) * static_cast<Sum>(load(c[position]));
        if (call.descriptor.epilogue == kEpilogueBias)
          value += static_cast<Sum>(load(static_cast<const Out*>(call.descriptor.bias)[i]));
        out[position] = store<Out>(static_cast<Compute<Out>>(value));
      }
  }
}

template <typename Descriptor>
Status destroy(Descriptor* descriptor) {
  delete descriptor;
  return kSuccess;
}

/// Copies an attribute whose size must be right.
template <typename Field>
Status assign(Field& field, const void* value, size_t bytes) {
  if (!value || bytes != sizeof field) return kInvalidValue;
  std::memcpy(&field, value, bytes);
  return kSuccess;
}

}  // namespace

}  // namespace heddle::cuda::lt

using namespace heddle::cuda::lt;

HEDDLE_EXPORT size_t cublasLtGetVersion() { return 130000; }

HEDDLE_EXPORT Status cublasLtCreate(Handle* handle) { return *handle = new HandleOpaque, kSuccess; }

HEDDLE_EXPORT Status cublasLtMatmulDescCreate(MatmulDescriptor* made, int computeType, int scaleType) {
  return *made = new MatmulDescriptorOpaque{computeType, scaleType}, kSuccess;
}
HEDDLE_EXPORT Status cublasLtMatmulDescDestroy(MatmulDescriptor descriptor) { return destroy(descriptor); }
HEDDLE_EXPORT Status cublasLtMatmulDescSetAttribute(MatmulDescriptor to, int attribute, const void* value,
                                                    size_t bytes) {
  switch (attribute) {
    case kTransposeA: return assign(to->transposeA, value, bytes);
    case kTransposeB: return assign(to->transposeB, value, bytes);
    case kEpilogue: return assign(to->epilogue, value, bytes);
    case kBiasPointer: return assign(to->bias, value, bytes);
    default: return kInvalidValue;
  }
}

HEDDLE_EXPORT Status cublasLtMatrixLayoutCreate(Layout* made, int type, uint64_t rows, uint64_t columns,
                                                int64_t leading) {
  *made = new LayoutOpaque{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), leading};
  return kSuccess;
}
HEDDLE_EXPORT Status cublasLtMatrixLayoutDestroy(Layout layout) { return destroy(layout); }
HEDDLE_EXPORT Status cublasLtMatrixLayoutSetAttribute(Layout to, int attribute, const void* value, size_t bytes) {
  switch (attribute) {
    case kBatchCount: return assign(to->batchCount, value, bytes);
    case kBatchStride: return assign(to->batchStride, value, bytes);
    default: return kInvalidValue;
  }
}

HEDDLE_EXPORT Status cublasLtMatmulPreferenceCreate(Preference* made) { return *made = new PreferenceOpaque, kSuccess; }
HEDDLE_EXPORT Status cublasLtMatmulPreferenceDestroy(Preference preference) { return destroy(preference); }
HEDDLE_EXPORT Status cublasLtMatmulPreferenceSetAttribute(Preference to, int attribute, const void* value,
                                                          size_t bytes) {
  switch (attribute) {
    case kMostWorkspaceBytes: return assign(to->workspaceBytes, value, bytes);
    case kReductionSchemes: return assign(to->reductionSchemes, value, bytes);
    case kLeastAlignmentA:
    case kLeastAlignmentB:
    case kLeastAlignmentC:
    case kLeastAlignmentD: return assign(to->alignments[attribute], value, bytes);
    default: return kInvalidValue;
  }
}

HEDDLE_EXPORT Status cublasLtMatmulAlgoGetHeuristic(Handle, MatmulDescriptor descriptor, Layout a, Layout b, Layout c,
                                                    Layout d, Preference preference, int wanted,
                                                    HeuristicResult* results, int* found) {
  *found = 0;
  if (wanted < 1) return kInvalidValue;
  const Call call{*descriptor, *a, *b, *d};
  if (const Status status = validate(call, *c); status != kSuccess) return status;
  bool aligned = multipleOf16(*a) && multipleOf16(*b) && multipleOf16(*c) && multipleOf16(*d);
  for (int attribute : {kLeastAlignmentA, kLeastAlignmentB, kLeastAlignmentC, kLeastAlignmentD}) {
    const auto given = preference->alignments.find(attribute);
    aligned = aligned && (given == preference->alignments.end() || given->second >= 16);
  }
  const auto add = [&](Kind kind, size_t workspaceBytes) {
    if (*found == wanted) return;
    results[(*found)++] = {{{kind}}, workspaceBytes, kSuccess, 1, {}};
  };
  if (aligned) add(kVector, 0);
  add(kAnyAlignment, 0);
  if (call.k() > 1 && splitBytes(call) <= preference->workspaceBytes &&
      (preference->reductionSchemes & kReduceInComputeType))
    add(kSplit, splitBytes(call));
  return kSuccess;
}

HEDDLE_EXPORT Status cublasLtMatmul(Handle, MatmulDescriptor descriptor, const void* alpha, const void* a,
                                    Layout layoutA, const void* b, Layout layoutB, const void* beta, const void* c,
                                    Layout layoutC, void* d, Layout layoutD, const Algorithm* algorithm,
                                    void* workspace, size_t workspaceBytes, cudaStream_t stream) {
  const Call call{*descriptor, *layoutA, *layoutB, *layoutD};
  if (const Status status = validate(call, *layoutC); status != kSuccess) return status;
  if (!algorithm || !a || !b || !d) return kInvalidValue;
  const auto kind = static_cast<Kind>(algorithm->data[0]);
  const bool biased = descriptor->epilogue == kEpilogueBias;
  // The real one faults on a bias that is less aligned, whatever its heuristics were told.
  if (biased && (!descriptor->bias || reinterpret_cast<uintptr_t>(descriptor->bias) % 16 != 0)) return kInvalidValue;
  for (const void* pointer : {a, b, const_cast<const void*>(d)})
    if (reinterpret_cast<uintptr_t>(pointer) % (kind == kVector ? 16 : static_cast<size_t>(bytesOfType(layoutA->type))))
      return kInvalidValue;
  if (kind == kSplit && (!workspace || workspaceBytes < splitBytes(call) ||
                         reinterpret_cast<uintptr_t>(workspace) % kWorkspaceAlignment != 0))
    return kInvalidValue;
  const bool f64 = descriptor->scaleType == kReal64;
  const auto scale = [&](const void* value) {
    return f64 ? *static_cast<const double*>(value) : double{*static_cast<const float*>(value)};
  };
  const double scaleA = scale(alpha), scaleC = scale(beta);
  heddle::emulation::enqueue(stream, [=] {
    // The split one is the fastest, so that what is timed is not always the library's favourite.
    heddle::emulation::spend(kind == kSplit ? 2 : kind == kVector ? 3 : 4);
    dispatch(call.a.type, [&](auto in) {
      dispatch(call.out.type, [&](auto out) {
        using T = typename decltype(in)::type;
        using Out = typename decltype(out)::type;
        multiply<T, Out>(call, kind, scaleA, scaleC, static_cast<const T*>(a), static_cast<const T*>(b),
                         static_cast<const Out*>(c), static_cast<Out*>(d), workspace);
      });
    });
  });
  return kSuccess;
}
