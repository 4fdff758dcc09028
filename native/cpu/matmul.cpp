// Op matmul: reads the problem from its specs and chooses an implementation.
#include "matmul.h"

#include "../core/check.h"
#include "kernels.h"

namespace heddle {
namespace {

constexpr const char* kOp = "matmul";

class EmptyMatmul : public Kernel {
 public:
  void run(const RunOperands&) override {}
};

/// Batch strides of an operand for the output's batch axes, 0 where it repeats.
MatrixOperand readOperand(const TensorSpec& spec, size_t batchRank, const std::vector<int64_t>& batch) {
  const size_t rank = spec.shape.size();
  MatrixOperand operand{std::vector<int64_t>(batchRank, 0), spec.strides[rank - 2], spec.strides[rank - 1]};
  for (size_t i = 0; i + 2 < rank; i++) {
    const size_t axis = batchRank - (rank - 2) + i;
    if (batch[axis] > 1 && spec.shape[i] > 1) operand.batchStrides[axis] = spec.strides[i];
  }
  return operand;
}

/// Drops batch axes of extent 1 and merges neighbours that both operands walk evenly.
void mergeBatch(MatmulProblem& problem) {
  std::vector<int64_t> batch, a, b;
  for (size_t axis = 0; axis < problem.batch.size(); axis++) {
    const int64_t extent = problem.batch[axis];
    if (extent == 1) continue;
    const int64_t strideA = problem.a.batchStrides[axis];
    const int64_t strideB = problem.b.batchStrides[axis];
    if (!batch.empty() && a.back() == strideA * extent && b.back() == strideB * extent) {
      batch.back() *= extent;
      a.back() = strideA;
      b.back() = strideB;
    } else {
      batch.push_back(extent);
      a.push_back(strideA);
      b.push_back(strideB);
    }
  }
  problem.batch = std::move(batch);
  problem.a.batchStrides = std::move(a);
  problem.b.batchStrides = std::move(b);
}

/// A single b makes the innermost batch axis more rows of a, where a's rows go on evenly.
void mergeRows(MatmulProblem& problem) {
  while (!problem.batch.empty()) {
    for (int64_t stride : problem.b.batchStrides)
      if (stride != 0) return;
    const int64_t stride = problem.a.batchStrides.back();
    if (problem.m == 1) {
      problem.a.rowStride = stride;
    } else if (stride != problem.m * problem.a.rowStride) {
      return;
    }
    // oneDNN and BLAS take matrices of unit stride in one axis and a leading dimension no less than the other's extent.
    const int64_t columns = problem.k == 1 ? 1 : problem.a.columnStride;
    if (columns != 1 || problem.a.rowStride < problem.k) return;
    problem.m *= problem.batch.back();
    problem.batch.pop_back();
    problem.a.batchStrides.pop_back();
    problem.b.batchStrides.pop_back();
  }
}

/// The stride of an axis of extent 1 is free: makes it fit the row-major or transposed form.
void canonicalise(MatrixOperand& operand, int64_t rows, int64_t columns) {
  if (columns == 1 && operand.rowStride != 1) operand.columnStride = 1;
  if (columns == 1 && operand.rowStride == 1 && rows > 1) operand.columnStride = rows;
  if (rows == 1 && operand.columnStride == 1) operand.rowStride = std::max<int64_t>(columns, 1);
  if (rows == 1 && operand.columnStride != 1) operand.rowStride = 1;
  if (rows == 1 && columns == 1) operand.rowStride = operand.columnStride = 1;
}

void checkSpecs(const MatmulParams& params, Specs inputs, Specs outputs) {
  expectCount(kOp, inputs, params.hasBias ? 3 : 2, outputs, 1);
  const TensorSpec& a = inputs[0];
  const TensorSpec& b = inputs[1];
  const TensorSpec& out = outputs[0];
  const size_t rankA = a.shape.size(), rankB = b.shape.size(), rank = out.shape.size();
  expect(rankA >= 2 && rankB >= 2 && rank == std::max(rankA, rankB), kOp, "matrices of rank 2 or more", inputs,
         outputs);
  expect(a.shape[rankA - 1] == b.shape[rankB - 2] && out.shape[rank - 2] == a.shape[rankA - 2] &&
             out.shape[rank - 1] == b.shape[rankB - 1],
         kOp, "[..,M,K] x [..,K,N] -> [..,M,N]", inputs, outputs);
  for (const TensorSpec* side : {&a, &b})
    for (size_t i = 0; i + 2 < side->shape.size(); i++) {
      const int64_t extent = side->shape[i];
      expect(extent == 1 || extent == out.shape[rank - side->shape.size() + i], kOp,
             "batch axes that broadcast to the output's", inputs, outputs);
    }
  expect(a.dtype == b.dtype && a.dtype == out.dtype && a.dtype != DType::bool_, kOp, "operands of one numeric dtype",
         inputs, outputs);
  expect(out.contiguous(), kOp, "a contiguous output", inputs, outputs);
  if (params.hasBias)
    expect(inputs[2].dtype == a.dtype && inputs[2].contiguous() && inputs[2].shape.size() == 1 &&
               inputs[2].shape[0] == out.shape[rank - 1],
           kOp, "a contiguous bias [N] of the operands' dtype", inputs, outputs);
  for (const TensorSpec* side : {&a, &b}) {
    const size_t last = side->shape.size() - 1;
    const bool row = side->strides[last] == 1 || side->shape[last] <= 1;
    const bool column = side->strides[last - 1] == 1 || side->shape[last - 1] <= 1;
    expect(row || column, kOp, "matrices with stride 1 in one of the last two axes", inputs, outputs);
  }
}

std::unique_ptr<Kernel> makeMatmul(WordReader& words, Specs inputs, Specs outputs) {
  const MatmulParams params = MatmulParams::read(words);
  checkSpecs(params, inputs, outputs);
  const MatmulProblem problem = readMatmul(params, inputs, outputs);
  if (problem.batchSize() * problem.m * problem.n == 0) return std::make_unique<EmptyMatmul>();
  if (problem.dtype == DType::f32) return problem.k == 0 ? makeMatmulBlocked(problem) : makeMatmulFastest(problem);
  if (problem.dtype == DType::bf16 || problem.dtype == DType::f16) {
    if (problem.k > 0)
      if (auto kernel = makeMatmulPrimitive(problem)) return kernel;
    return makeMatmulConverted(problem);
  }
  return makeMatmulBlocked(problem);
}

}  // namespace

int64_t MatmulProblem::batchSize() const { return product(batch); }

std::vector<int64_t> MatmulProblem::offsets(const MatrixOperand& operand) const {
  std::vector<int64_t> offsets{0};
  for (size_t axis = 0; axis < batch.size(); axis++) {
    std::vector<int64_t> inner;
    inner.reserve(offsets.size() * static_cast<size_t>(batch[axis]));
    for (int64_t offset : offsets)
      for (int64_t i = 0; i < batch[axis]; i++) inner.push_back(offset + i * operand.batchStrides[axis]);
    offsets = std::move(inner);
  }
  return offsets;
}

std::string MatmulProblem::key() const {
  return std::string(nameOf(dtype)) + formatList(batch) + formatList({m, n, k}) + formatList(a.batchStrides) +
         formatList({a.rowStride, a.columnStride}) + formatList(b.batchStrides) +
         formatList({b.rowStride, b.columnStride, hasBias, static_cast<int64_t>(activation)});
}

MatmulProblem readMatmul(const MatmulParams& params, Specs inputs, Specs outputs) {
  const std::vector<int64_t>& shape = outputs[0].shape;
  const size_t batchRank = shape.size() - 2;
  MatmulProblem problem;
  problem.dtype = outputs[0].dtype;
  problem.batch.assign(shape.begin(), shape.end() - 2);
  problem.m = shape[batchRank];
  problem.n = shape[batchRank + 1];
  problem.k = inputs[0].shape.back();
  problem.a = readOperand(inputs[0], batchRank, problem.batch);
  problem.b = readOperand(inputs[1], batchRank, problem.batch);
  problem.hasBias = params.hasBias;
  problem.activation = params.activation;
  mergeBatch(problem);
  mergeRows(problem);
  canonicalise(problem.a, problem.m, problem.k);
  canonicalise(problem.b, problem.k, problem.n);
  return problem;
}

void registerMatmul(KernelTable& table) { table.add(OpId::matmul, makeMatmul); }

}  // namespace heddle
