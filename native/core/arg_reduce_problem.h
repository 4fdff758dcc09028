// argReduce, read from a step's specs: what every backend starts from.
#pragma once

#include "check.h"

namespace heddle {

/// A contiguous operand [outer][size][inner] of which `size` is reduced.
struct ArgReduceProblem {
  int64_t outer, size, inner;
};

/// Throws Error invalidPlan where the specs are not what the op promises.
inline ArgReduceProblem readArgReduce(const ArgReduceParams& params, Specs in, Specs out) {
  constexpr const char* op = "argReduce";
  expectCount(op, in, 1, out, 1);
  expectContiguous(op, in, out);
  const std::vector<int64_t>& shape = in[0].shape;
  expect(params.axis >= 0 && params.axis < static_cast<int64_t>(shape.size()), op, "an axis of the operand", in, out);
  const std::span<const int64_t> extents(shape);
  const auto axis = static_cast<size_t>(params.axis);
  const int64_t outer = product(extents.first(axis)), size = shape[axis], inner = product(extents.subspan(axis + 1));
  expect(out[0].dtype == DType::i32 && out[0].size() == outer * inner && size <= INT32_MAX, op,
         "an i32 output of the shape without the axis", in, out);
  expect(size > 0 || outer * inner == 0, op, "at least one element along the axis", in, out);
  return {outer, size, inner};
}

}  // namespace heddle
