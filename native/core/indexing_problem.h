// The ops that choose by index, read from a step's specs: what every backend starts from.
#pragma once

#include "check.h"

namespace heddle {

/// take, indexCopy and indexAdd: contiguous rows of `width` elements, `count` of them chosen among `rows`.
struct RowsProblem {
  int64_t rows, count, width;
};

/// gather and scatterAdd: an index of the operand's rank chooses along `axis`, and is no larger in the other axes. All
/// operands are contiguous.
struct AxisShapes {
  std::vector<int64_t> operand, index;
  size_t axis;
};

/// Each throws Error invalidPlan where the specs are not what the op promises.
inline RowsProblem readTake(Specs in, Specs out) {
  constexpr const char* op = "take";
  expectCount(op, in, 2, out, 1);
  expectContiguous(op, in, out);
  expect(!in[0].shape.empty(), op, "an operand of rank 1 or more", in, out);
  std::vector<int64_t> shape = in[1].shape;
  shape.insert(shape.end(), in[0].shape.begin() + 1, in[0].shape.end());
  expect(out[0].shape == shape && out[0].dtype == in[0].dtype, op, "an output of shape " + formatList(shape), in, out);
  return {in[0].shape[0], in[1].size(), product(std::span(in[0].shape).subspan(1))};
}

inline RowsProblem readIndexCopy(Specs in, Specs out) {
  constexpr const char* op = "indexCopy";
  expectCount(op, in, 3, out, 1);
  expectContiguous(op, in, out);
  expect(!in[0].shape.empty(), op, "an operand of rank 1 or more", in, out);
  std::vector<int64_t> shape = in[1].shape;
  shape.insert(shape.end(), in[0].shape.begin() + 1, in[0].shape.end());
  expect(in[2].shape == shape && in[2].dtype == in[0].dtype, op, "rows of shape " + formatList(shape), in, out);
  expect(out[0].shape == in[0].shape && out[0].dtype == in[0].dtype, op, "an output like the operand", in, out);
  return {in[0].shape[0], in[1].size(), product(std::span(in[0].shape).subspan(1))};
}

inline RowsProblem readIndexAdd(const IndexAddParams& params, Specs in, Specs out) {
  constexpr const char* op = "indexAdd";
  expectCount(op, in, 2, out, 1);
  expectContiguous(op, in, out);
  const size_t lead = in[0].shape.size();
  expect(in[1].shape.size() >= lead && std::equal(in[0].shape.begin(), in[0].shape.end(), in[1].shape.begin()), op,
         "values whose leading axes are those of the indices", in, out);
  std::vector<int64_t> shape{params.size};
  shape.insert(shape.end(), in[1].shape.begin() + static_cast<std::ptrdiff_t>(lead), in[1].shape.end());
  expect(params.size >= 0 && out[0].shape == shape && out[0].dtype == in[1].dtype, op,
         "an output of shape " + formatList(shape), in, out);
  return {params.size, in[0].size(), product(std::span(shape).subspan(1))};
}

namespace indexing {

inline AxisShapes readAxis(const char* op, int64_t axis, Specs in, Specs out) {
  expectContiguous(op, in, out);
  const std::vector<int64_t>&operand = in[0].shape, &index = in[1].shape;
  expect(!operand.empty() && index.size() == operand.size() && axis >= 0 && axis < static_cast<int64_t>(operand.size()),
         op, "an index of the operand's rank and an axis below it", in, out);
  const auto along = static_cast<size_t>(axis);
  for (size_t i = 0; i < operand.size(); i++)
    expect(i == along || index[i] <= operand[i], op, "an index no larger than the operand in other axes", in, out);
  return {operand, index, along};
}

}  // namespace indexing

inline AxisShapes readGather(const GatherParams& params, Specs in, Specs out) {
  constexpr const char* op = "gather";
  expectCount(op, in, 2, out, 1);
  const AxisShapes shapes = indexing::readAxis(op, params.axis, in, out);
  expect(out[0].shape == shapes.index && out[0].dtype == in[0].dtype, op, "an output of the index's shape", in, out);
  return shapes;
}

inline AxisShapes readScatterAdd(const ScatterAddParams& params, Specs in, Specs out) {
  constexpr const char* op = "scatterAdd";
  expectCount(op, in, 3, out, 1);
  const AxisShapes shapes = indexing::readAxis(op, params.axis, in, out);
  expect(in[2].shape == shapes.index && in[2].dtype == in[0].dtype && out[0].shape == shapes.operand &&
             out[0].dtype == in[0].dtype,
         op, "a source of the index's shape and an output like the operand", in, out);
  return shapes;
}

}  // namespace heddle
