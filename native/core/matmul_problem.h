// A matmul problem in its simplest form, read from a step's specs: what every backend starts from.
#pragma once

#include <algorithm>

#include "activation.h"
#include "check.h"

namespace heddle {

/// One side as matrices of row and column strides, over the batch axes of the problem.
struct MatrixOperand {
  std::vector<int64_t> batchStrides;
  int64_t rowStride;
  int64_t columnStride;
};

/// out[batch..., m, n] = sum over k of a[batch..., m, k] * b[batch..., k, n]; out is contiguous. Every operand has a
/// stride (0 where it repeats) for each of the `batch` extents.
struct MatmulProblem {
  DType dtype;
  std::vector<int64_t> batch;
  int64_t m;
  int64_t n;
  int64_t k;
  MatrixOperand a;
  MatrixOperand b;
  bool hasBias;
  Activation activation;

  int64_t batchSize() const { return product(batch); }
  /// Multiplications and additions; a double, for it may pass 2^63.
  double work() const {
    return static_cast<double>(batchSize()) * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
  /// The element offsets of each batch index's matrices in an operand.
  std::vector<int64_t> offsets(const MatrixOperand& operand) const;
  /// Elements an operand of `rows` by `columns` spans, where no stride is negative.
  size_t span(const MatrixOperand& operand, int64_t rows, int64_t columns) const;
  std::string key() const;
};

inline std::vector<int64_t> MatmulProblem::offsets(const MatrixOperand& operand) const {
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

inline size_t MatmulProblem::span(const MatrixOperand& operand, int64_t rows, int64_t columns) const {
  int64_t last = (rows - 1) * operand.rowStride + (columns - 1) * operand.columnStride;
  for (size_t axis = 0; axis < batch.size(); axis++) last += (batch[axis] - 1) * operand.batchStrides[axis];
  return static_cast<size_t>(last + 1);
}

inline std::string MatmulProblem::key() const {
  return std::string(nameOf(dtype)) + formatList(batch) + formatList({m, n, k}) + formatList(a.batchStrides) +
         formatList({a.rowStride, a.columnStride}) + formatList(b.batchStrides) +
         formatList({b.rowStride, b.columnStride, hasBias, static_cast<int64_t>(activation)});
}

namespace matmul {

/// Batch strides of an operand for the output's batch axes, 0 where it repeats.
inline MatrixOperand readOperand(const TensorSpec& spec, size_t batchRank, const std::vector<int64_t>& batch) {
  const size_t rank = spec.shape.size();
  MatrixOperand operand{std::vector<int64_t>(batchRank, 0), spec.strides[rank - 2], spec.strides[rank - 1]};
  for (size_t i = 0; i + 2 < rank; i++) {
    const size_t axis = batchRank - (rank - 2) + i;
    if (batch[axis] > 1 && spec.shape[i] > 1) operand.batchStrides[axis] = spec.strides[i];
  }
  return operand;
}

/// Drops batch axes of extent 1 and merges neighbours that both operands walk evenly.
inline void mergeBatch(MatmulProblem& problem) {
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
inline void mergeRows(MatmulProblem& problem) {
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
inline void canonicalise(MatrixOperand& operand, int64_t rows, int64_t columns) {
  if (columns == 1 && operand.rowStride != 1) operand.columnStride = 1;
  if (columns == 1 && operand.rowStride == 1 && rows > 1) operand.columnStride = rows;
  if (rows == 1 && operand.columnStride == 1) operand.rowStride = std::max<int64_t>(columns, 1);
  if (rows == 1 && operand.columnStride != 1) operand.rowStride = 1;
  if (rows == 1 && columns == 1) operand.rowStride = operand.columnStride = 1;
}

inline void checkSpecs(const MatmulParams& params, Specs inputs, Specs outputs) {
  constexpr const char* op = "matmul";
  expectCount(op, inputs, params.hasBias ? 3 : 2, outputs, 1);
  const TensorSpec& a = inputs[0];
  const TensorSpec& b = inputs[1];
  const TensorSpec& out = outputs[0];
  const size_t rankA = a.shape.size(), rankB = b.shape.size(), rank = out.shape.size();
  expect(rankA >= 2 && rankB >= 2 && rank == std::max(rankA, rankB), op, "matrices of rank 2 or more", inputs, outputs);
  expect(a.shape[rankA - 1] == b.shape[rankB - 2] && out.shape[rank - 2] == a.shape[rankA - 2] &&
             out.shape[rank - 1] == b.shape[rankB - 1],
         op, "[..,M,K] x [..,K,N] -> [..,M,N]", inputs, outputs);
  for (const TensorSpec* side : {&a, &b})
    for (size_t i = 0; i + 2 < side->shape.size(); i++) {
      const int64_t extent = side->shape[i];
      expect(extent == 1 || extent == out.shape[rank - side->shape.size() + i], op,
             "batch axes that broadcast to the output's", inputs, outputs);
    }
  expect(a.dtype == b.dtype && a.dtype == out.dtype && a.dtype != DType::bool_, op, "operands of one numeric dtype",
         inputs, outputs);
  expect(out.contiguous(), op, "a contiguous output", inputs, outputs);
  if (params.hasBias)
    expect(inputs[2].dtype == a.dtype && inputs[2].contiguous() && inputs[2].shape.size() == 1 &&
               inputs[2].shape[0] == out.shape[rank - 1],
           op, "a contiguous bias [N] of the operands' dtype", inputs, outputs);
  for (const TensorSpec* side : {&a, &b}) {
    const size_t last = side->shape.size() - 1;
    const bool row = side->strides[last] == 1 || side->shape[last] <= 1;
    const bool column = side->strides[last - 1] == 1 || side->shape[last - 1] <= 1;
    expect(row || column, op, "matrices with stride 1 in one of the last two axes", inputs, outputs);
  }
}

}  // namespace matmul

/// Reads a problem from specs; merges batch axes, into m where b has none. Throws Error invalidPlan where the specs are
/// not what the op promises.
inline MatmulProblem readMatmul(const MatmulParams& params, Specs inputs, Specs outputs) {
  matmul::checkSpecs(params, inputs, outputs);
  const std::vector<int64_t>& shape = outputs[0].shape;
  const size_t batchRank = shape.size() - 2;
  MatmulProblem problem;
  problem.dtype = outputs[0].dtype;
  problem.batch.assign(shape.begin(), shape.end() - 2);
  problem.m = shape[batchRank];
  problem.n = shape[batchRank + 1];
  problem.k = inputs[0].shape.back();
  problem.a = matmul::readOperand(inputs[0], batchRank, problem.batch);
  problem.b = matmul::readOperand(inputs[1], batchRank, problem.batch);
  problem.hasBias = params.hasBias;
  problem.activation = params.activation;
  matmul::mergeBatch(problem);
  matmul::mergeRows(problem);
  matmul::canonicalise(problem.a, problem.m, problem.k);
  matmul::canonicalise(problem.b, problem.k, problem.n);
  return problem;
}

}  // namespace heddle
