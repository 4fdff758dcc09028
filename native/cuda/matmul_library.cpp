// Matmul by cuBLASLt. A row-major product is the column-major product of the transposes, out' = b' a': so the library's
// first operand is our b, the rows of its result are our columns, and its bias, one element per row, is ours.
#include <algorithm>
#include <optional>

#include "bias_activation.h"
#include "cublaslt.h"
#include "launch.h"
#include "matmul.h"

namespace heddle::cuda {
namespace {

constexpr int kMostAlgorithms = 8;
constexpr size_t kMostWorkspaceBytes = size_t{32} << 20;
// The library wants its workspace aligned so; ours begins at a multiple of 64.
constexpr size_t kWorkspaceAlignment = 256;
// What the widest loads and copies of any algorithm need. Biases always need it: the library chooses its algorithm
// without asking how they are aligned, and a less aligned one makes some of its kernels fault.
constexpr uint32_t kFullAlignment = 16;
constexpr int64_t kLargestExtent = INT32_MAX;
// A batch of more axes than one is a loop of calls; beyond this many our kernel, one launch for all, takes it.
constexpr int64_t kMostCalls = 1024;

size_t alignUp(size_t bytes) { return (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment; }

int typeOf(DType dtype) {
  switch (dtype) {
    case DType::f32: return lt::kReal32;
    case DType::f64: return lt::kReal64;
    case DType::bf16: return lt::kRealBFloat16;
    case DType::f16: return lt::kReal16;
    default: throwUnsupported("matmul", dtype);
  }
}

int computeTypeOf(DType dtype) {
  if (dtype == DType::f64) return lt::kCompute64;
  return dtype == DType::f32 && tensorFloat32Allowed() ? lt::kCompute32FastTensorFloat32 : lt::kCompute32;
}

bool isHalf(DType dtype) { return dtype == DType::bf16 || dtype == DType::f16; }

/// How the library sees one of our operands: as the transpose of what it is to multiply, in column-major order.
struct View {
  int64_t rows, columns, leading;
  bool transposed;

  View(const MatrixOperand& operand, int64_t ourRows, int64_t ourColumns) {
    transposed = operand.columnStride != 1;
    rows = transposed ? ourRows : ourColumns;
    columns = transposed ? ourColumns : ourRows;
    leading = transposed ? operand.columnStride : operand.rowStride;
  }
  bool fits() const {
    return leading >= rows && rows <= kLargestExtent && columns <= kLargestExtent && leading <= kLargestExtent;
  }
};

/// A problem in the library's terms: one batch axis is its own, the others are loops over offsets.
class Product {
 public:
  /// `result` is the dtype of what is stored, the problem's own or f32.
  Product(const MatmulProblem& problem, bool withBias, DType result)
      : dtype_(problem.dtype), withBias_(withBias), alignment_(kFullAlignment) {
    const View a(problem.a, problem.m, problem.k), b(problem.b, problem.k, problem.n);
    chooseBatch(problem, result);
    const int type = typeOf(dtype_), resultType = typeOf(result);
    lt::MatmulDescriptor descriptor;
    lt::check(lt::functions().matmulDescCreate(&descriptor, computeTypeOf(dtype_),
                                               dtype_ == DType::f64 ? lt::kReal64 : lt::kReal32),
              "cublasLtMatmulDescCreate");
    descriptor_ = lt::OwnedDescriptor(descriptor);
    set(lt::kTransposeA, b.transposed ? lt::kTransposed : lt::kPlain);
    set(lt::kTransposeB, a.transposed ? lt::kTransposed : lt::kPlain);
    if (withBias) set(lt::kEpilogue, lt::kEpilogueBias);
    b_ = layout(type, b.rows, b.columns, b.leading, batchB_);
    a_ = layout(type, a.rows, a.columns, a.leading, batchA_);
    out_ = layout(resultType, problem.n, problem.m, problem.n, batchOut_);
  }

  /// Up to `most` algorithms for operands aligned to `alignment` bytes, the library's favourite first; none where it
  /// does not take the problem.
  std::vector<lt::HeuristicResult> algorithms(int most, uint32_t alignment, size_t workspaceBytes) const {
    lt::Preference created;
    lt::check(lt::functions().matmulPreferenceCreate(&created), "cublasLtMatmulPreferenceCreate");
    const lt::OwnedPreference preference(created);
    const auto prefer = [&](int attribute, auto value) {
      lt::check(lt::functions().matmulPreferenceSetAttribute(created, attribute, &value, sizeof value),
                "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(lt::kMostWorkspaceBytes, uint64_t{workspaceBytes});
    // Sums split along k meet in f32 (or f64), never in a 16-bit result.
    prefer(lt::kReductionSchemes, lt::kReduceInComputeType);
    for (int attribute : {lt::kLeastAlignmentA, lt::kLeastAlignmentB, lt::kLeastAlignmentC, lt::kLeastAlignmentD})
      prefer(attribute, alignment);
    if (withBias_) set(lt::kBiasPointer, reinterpret_cast<const void*>(uintptr_t{kWorkspaceAlignment}));
    std::vector<lt::HeuristicResult> results(static_cast<size_t>(most));
    int found = 0;
    const lt::Status status =
        lt::functions().matmulAlgoGetHeuristic(lt::handle(), descriptor_.get(), b_.get(), a_.get(), out_.get(),
                                               out_.get(), created, most, results.data(), &found);
    if (status == lt::kNotSupported || status == lt::kInvalidValue) return {};
    lt::check(status, "cublasLtMatmulAlgoGetHeuristic");
    results.resize(static_cast<size_t>(found));
    std::erase_if(results, [&](const lt::HeuristicResult& result) {
      return result.state != lt::kSuccess || result.workspaceBytes > workspaceBytes;
    });
    return results;
  }

  void queue(const lt::HeuristicResult& algorithm, const void* a, const void* b, const void* bias, void* out,
             void* workspace) const {
    if (withBias_) set(lt::kBiasPointer, bias);
    const float one = 1, zero = 0;
    const double one64 = 1, zero64 = 0;
    const bool f64 = dtype_ == DType::f64;
    const void* alpha = f64 ? static_cast<const void*>(&one64) : &one;
    const void* beta = f64 ? static_cast<const void*>(&zero64) : &zero;
    Context& context = Context::current();
    for (const Offsets& at : offsets_) {
      void* target = static_cast<char*>(out) + at.out;
      lt::check(
          lt::functions().matmul(lt::handle(), descriptor_.get(), alpha, static_cast<const char*>(b) + at.b, b_.get(),
                                 static_cast<const char*>(a) + at.a, a_.get(), beta, target, out_.get(), target,
                                 out_.get(), &algorithm.algorithm, workspace, algorithm.workspaceBytes, context.stream),
          "cublasLtMatmul");
    }
    if (context.synchronous) afterLaunch(context, "cublasLtMatmul");
  }

  /// The most that operands can be aligned to throughout, given where the loop's matrices begin.
  uint32_t alignment() const { return alignment_; }

 private:
  struct Batch {
    int64_t count, stride;
  };
  /// In bytes.
  struct Offsets {
    int64_t a, b, out;
  };

  template <typename Value>
  void set(int attribute, Value value) const {
    lt::check(lt::functions().matmulDescSetAttribute(descriptor_.get(), attribute, &value, sizeof value),
              "cublasLtMatmulDescSetAttribute");
  }

  static lt::OwnedLayout layout(int type, int64_t rows, int64_t columns, int64_t leading, const Batch& batch) {
    lt::Layout created;
    lt::check(lt::functions().matrixLayoutCreate(&created, type, static_cast<uint64_t>(rows),
                                                 static_cast<uint64_t>(columns), leading),
              "cublasLtMatrixLayoutCreate");
    lt::OwnedLayout owned(created);
    if (batch.count == 1) return owned;
    const auto count = static_cast<int32_t>(batch.count);
    for (const auto& [attribute, value, bytes] :
         {std::tuple<int, const void*, size_t>{lt::kBatchCount, &count, 4}, {lt::kBatchStride, &batch.stride, 8}})
      lt::check(lt::functions().matrixLayoutSetAttribute(created, attribute, value, bytes),
                "cublasLtMatrixLayoutSetAttribute");
    return owned;
  }

  /// The longest batch axis becomes the library's.
  void chooseBatch(const MatmulProblem& problem, DType result) {
    const int64_t bytes = bytesOf(dtype_), resultBytes = bytesOf(result);
    const auto longest = std::max_element(problem.batch.begin(), problem.batch.end());
    const auto own = static_cast<size_t>(longest - problem.batch.begin());
    offsets_ = {{0, 0, 0}};
    int64_t outStride = problem.m * problem.n;
    for (size_t axis = problem.batch.size(); axis-- > 0; outStride *= problem.batch[axis]) {
      const int64_t extent = problem.batch[axis];
      const int64_t a = problem.a.batchStrides[axis], b = problem.b.batchStrides[axis];
      if (axis == own) {
        batchA_ = {extent, a};
        batchB_ = {extent, b};
        batchOut_ = {extent, outStride};
        continue;
      }
      const std::vector<Offsets> inner = offsets_;
      for (int64_t i = 1; i < extent; i++)
        for (const Offsets& at : inner)
          offsets_.push_back({at.a + i * a * bytes, at.b + i * b * bytes, at.out + i * outStride * resultBytes});
    }
    for (const Offsets& at : offsets_)
      for (const int64_t offset : {at.a, at.b, at.out})
        while (offset % alignment_ != 0) alignment_ /= 2;
  }

  const DType dtype_;
  const bool withBias_;
  uint32_t alignment_;
  Batch batchA_{1, 0}, batchB_{1, 0}, batchOut_{1, 0};
  std::vector<Offsets> offsets_;
  lt::OwnedDescriptor descriptor_;
  lt::OwnedLayout a_, b_, out_;
};

/// What a problem is made of: the library's part, and what a kernel of our own does after it. The library's ReLU makes
/// NaN zero and its GELU approximates tanh, so activations are ours; results of 16 bits then pass by way of f32, to be
/// rounded once.
struct Parts {
  std::shared_ptr<const Product> product;
  bool finished;  // bias or activation is left to our kernel
  bool wide;      // by way of f32 in workspace
};

class MatmulLibrary : public Kernel {
 public:
  MatmulLibrary(const MatmulProblem& problem, Parts parts, const lt::HeuristicResult& algorithm)
      : problem_(problem),
        parts_(std::move(parts)),
        algorithm_(algorithm),
        elements_(problem.batchSize() * problem.m * problem.n) {}

  size_t workspaceBytes() const override {
    const size_t bytes = wideBytes() + biasBytes() + alignUp(algorithm_.workspaceBytes);
    return bytes == 0 ? 0 : bytes + kWorkspaceAlignment;
  }

  void run(const RunOperands& operands) override {
    char* next = reinterpret_cast<char*>(alignUp(reinterpret_cast<size_t>(operands.workspace)));
    void* result = operands.outputs[0];
    if (parts_.wide) {
      result = next;
      next += wideBytes();
    }
    const void* bias = problem_.hasBias ? operands.inputs[2] : nullptr;
    if (biasBytes() > 0 && reinterpret_cast<uintptr_t>(bias) % kFullAlignment != 0) {
      check(cudaMemcpyAsync(next, bias, static_cast<size_t>(problem_.n * bytesOf(problem_.dtype)),
                            cudaMemcpyDeviceToDevice, Context::current().stream),
            "aligning a bias");
      bias = next;
    }
    next += biasBytes();
    const lt::HeuristicResult* algorithm = &algorithm_;
    if (!aligned({operands.inputs[0], operands.inputs[1], operands.outputs[0]})) {
      prepareMisaligned();
      if (misalignedGeneral_) return misalignedGeneral_->run(operands);
      algorithm = &*misaligned_;
    }
    parts_.product->queue(*algorithm, operands.inputs[0], operands.inputs[1], bias, result, next);
    if (parts_.finished)
      queueBiasActivation(problem_.dtype, result, bias, operands.outputs[0], {elements_, 1, problem_.n},
                          problem_.activation);
  }

 private:
  size_t wideBytes() const { return parts_.wide ? alignUp(static_cast<size_t>(elements_) * sizeof(float)) : 0; }

  /// Of a copy, which only some runs make.
  size_t biasBytes() const {
    return problem_.hasBias && !parts_.finished ? alignUp(static_cast<size_t>(problem_.n * bytesOf(problem_.dtype)))
                                                : 0;
  }

  bool aligned(std::initializer_list<const void*> pointers) const {
    for (const void* pointer : pointers)
      if (reinterpret_cast<uintptr_t>(pointer) % parts_.product->alignment() != 0) return false;
    return true;
  }

  /// Operands that begin anywhere, as slices may, are known only now; what was chosen may not read them.
  void prepareMisaligned() {
    if (misaligned_ || misalignedGeneral_) return;
    const auto found =
        parts_.product->algorithms(1, static_cast<uint32_t>(bytesOf(problem_.dtype)), algorithm_.workspaceBytes);
    if (found.empty())
      misalignedGeneral_ = makeMatmulGeneral(problem_);
    else
      misaligned_ = found.front();
  }

  const MatmulProblem problem_;
  const Parts parts_;
  const lt::HeuristicResult algorithm_;
  const int64_t elements_;
  std::optional<lt::HeuristicResult> misaligned_;
  std::unique_ptr<Kernel> misalignedGeneral_;
};

/// Whether the library can describe the problem: no overlapping or backward strides, extents of 32 bits.
bool fits(const MatmulProblem& problem) {
  if (!View(problem.a, problem.m, problem.k).fits() || !View(problem.b, problem.k, problem.n).fits()) return false;
  for (const MatrixOperand* operand : {&problem.a, &problem.b})
    for (const int64_t stride : operand->batchStrides)
      if (stride < 0) return false;
  int64_t longest = 1;
  for (const int64_t extent : problem.batch) longest = std::max(longest, extent);
  return longest <= kLargestExtent && problem.batchSize() / longest <= kMostCalls;
}

std::string nameOf(const lt::Algorithm& algorithm) {
  std::string name = "cublaslt";
  for (const uint64_t word : algorithm.data) {
    char text[18];
    std::snprintf(text, sizeof text, " %llx", static_cast<unsigned long long>(word));
    name += text;
  }
  return name;
}

}  // namespace

std::vector<TrialCandidate> matmulAlgorithms(const MatmulProblem& problem) {
  lt::functions();  // without the library there is no kernel, whatever the strides
  if (!fits(problem)) return {};
  const bool activated = problem.activation != Activation::none;
  for (const bool libraryBias : {true, false}) {
    if (libraryBias && (activated || !problem.hasBias)) continue;
    Parts parts{nullptr, !libraryBias && (activated || problem.hasBias), false};
    parts.wide = parts.finished && isHalf(problem.dtype);
    parts.product = std::make_shared<const Product>(problem, libraryBias, parts.wide ? DType::f32 : problem.dtype);
    std::vector<TrialCandidate> candidates;
    for (const lt::HeuristicResult& result :
         parts.product->algorithms(kMostAlgorithms, parts.product->alignment(), kMostWorkspaceBytes))
      candidates.push_back(
          {nameOf(result.algorithm), [=] { return std::make_unique<MatmulLibrary>(problem, parts, result); }});
    if (!candidates.empty()) return candidates;
  }
  return {};
}

}  // namespace heddle::cuda
