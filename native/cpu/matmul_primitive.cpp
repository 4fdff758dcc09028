// Matmul by oneDNN's primitive, on plain strides or with b reordered first.
#include <algorithm>

#include "matmul.h"
#include "onednn.h"

namespace heddle {
namespace {

constexpr const char* kOp = "matmul";
using dnnl::memory;

/// Batch extents an operand really has: 1 where it repeats.
memory::desc describe(const MatmulProblem& problem, const MatrixOperand& operand, int64_t rows, int64_t columns) {
  memory::dims shape, strides;
  const int64_t matrix = rows * columns;
  for (size_t axis = 0; axis < problem.batch.size(); axis++) {
    const int64_t stride = operand.batchStrides[axis];
    shape.push_back(stride == 0 ? 1 : problem.batch[axis]);
    strides.push_back(stride == 0 ? matrix : stride);
  }
  shape.insert(shape.end(), {rows, columns});
  strides.insert(strides.end(), {operand.rowStride, operand.columnStride});
  return memory::desc(shape, onednn::dataType(kOp, problem.dtype), strides);
}

memory::desc describeOutput(const MatmulProblem& problem) {
  memory::dims shape(problem.batch.begin(), problem.batch.end());
  shape.insert(shape.end(), {problem.m, problem.n});
  memory::dims strides(shape.size());
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) strides[axis] = step;
  return memory::desc(shape, onednn::dataType(kOp, problem.dtype), strides);
}

memory::desc describeBias(const MatmulProblem& problem) {
  memory::dims shape(problem.batch.size() + 2, 1);
  shape.back() = problem.n;
  memory::dims strides(shape.size(), problem.n);
  strides.back() = 1;
  return memory::desc(shape, onednn::dataType(kOp, problem.dtype), strides);
}

class MatmulPrimitive : public Kernel {
 public:
  MatmulPrimitive(onednn::Primitive primitive, bool hasBias) : primitive_(std::move(primitive)), hasBias_(hasBias) {}

  /// b goes through `reorder` into workspace first.
  void reorderFirst(onednn::Primitive reorder, size_t bytes) {
    reorder_ = std::move(reorder);
    reorderedBytes_ = onednn::alignUp(bytes);
  }

  size_t workspaceBytes() const override {
    return reorderedBytes_ + std::max(primitive_.scratchpadBytes(), reorder_.scratchpadBytes());
  }

  void run(const RunOperands& operands) override {
    onednn::guard(kOp, [&] {
      const void* b = operands.inputs[1];
      char* scratch = static_cast<char*>(operands.workspace) + reorderedBytes_;
      if (reorderedBytes_) {
        reorder_.run({b, operands.workspace}, scratch);
        b = operands.workspace;
      }
      primitive_.run({operands.inputs[0], b, operands.outputs[0], hasBias_ ? operands.inputs[2] : nullptr}, scratch);
    });
  }

 private:
  onednn::Primitive primitive_;
  onednn::Primitive reorder_;
  size_t reorderedBytes_ = 0;
  bool hasBias_;
};

/// oneDNN repeats an operand along a batch axis only where the other one has it.
bool fits(const MatmulProblem& problem) {
  if (problem.batch.size() + 2 > DNNL_MAX_NDIMS) return false;
  for (size_t axis = 0; axis < problem.batch.size(); axis++) {
    const int64_t a = problem.a.batchStrides[axis], b = problem.b.batchStrides[axis];
    if ((a == 0 && b == 0) || a < 0 || b < 0) return false;
  }
  return true;
}

std::unique_ptr<Kernel> make(const MatmulProblem& problem, bool reordered) {
  if (!fits(problem)) return nullptr;
  return onednn::guard(kOp, [&]() -> std::unique_ptr<Kernel> {
    const memory::desc a = describe(problem, problem.a, problem.m, problem.k);
    const memory::desc plain = describe(problem, problem.b, problem.k, problem.n);
    const memory::desc wanted =
        reordered ? memory::desc(plain.get_dims(), plain.get_data_type(), memory::format_tag::any) : plain;
    const memory::desc out = describeOutput(problem);
    dnnl::primitive_attr attributes = onednn::attributes();
    dnnl::post_ops operations;
    appendActivation(operations, problem.activation);
    attributes.set_post_ops(operations);
    const auto descriptor =
        problem.hasBias
            ? dnnl::matmul::primitive_desc(onednn::engine(), a, wanted, describeBias(problem), out, attributes, true)
            : dnnl::matmul::primitive_desc(onednn::engine(), a, wanted, out, attributes, true);
    if (!descriptor || onednn::isReference(descriptor)) return nullptr;
    const memory::desc chosen = descriptor.weights_desc();
    if (reordered && chosen == plain) return nullptr;
    onednn::Primitive primitive(descriptor, dnnl::matmul(descriptor));
    primitive.argument(DNNL_ARG_SRC, a);
    primitive.argument(DNNL_ARG_WEIGHTS, chosen);
    primitive.argument(DNNL_ARG_DST, out);
    if (problem.hasBias) primitive.argument(DNNL_ARG_BIAS, describeBias(problem));
    auto kernel = std::make_unique<MatmulPrimitive>(std::move(primitive), problem.hasBias);
    if (reordered) kernel->reorderFirst(onednn::makeReorder(plain, chosen), chosen.get_size());
    return kernel;
  });
}

}  // namespace

std::unique_ptr<Kernel> makeMatmulPrimitive(const MatmulProblem& problem) { return make(problem, false); }
std::unique_ptr<Kernel> makeMatmulReordered(const MatmulProblem& problem) { return make(problem, true); }

}  // namespace heddle
