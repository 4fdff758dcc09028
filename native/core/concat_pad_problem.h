// concat and pad, read from a step's specs: what every backend starts from.
#pragma once

#include "check.h"

namespace heddle {

/// The axis to join along: inputs of any strides into a contiguous output. Throws Error invalidPlan where the specs are
/// not what the op promises.
inline size_t readConcat(const ConcatParams& params, Specs in, Specs out) {
  constexpr const char* op = "concat";
  expectCount(op, in, in.size(), out, 1);
  const TensorSpec& result = out[0];
  expect(result.contiguous() && params.axis >= 0 && params.axis < static_cast<int64_t>(result.shape.size()), op,
         "a contiguous output and an axis of it", in, out);
  const auto axis = static_cast<size_t>(params.axis);
  int64_t total = 0;
  for (const TensorSpec& input : in) {
    expect(input.shape.size() == result.shape.size() && input.dtype == result.dtype, op,
           "inputs of the output's rank and dtype", in, out);
    for (size_t i = 0; i < result.shape.size(); i++)
      expect(i == axis || input.shape[i] == result.shape[i], op, "equal extents in the other axes", in, out);
    total += input.shape[axis];
  }
  expect(total == result.shape[axis], op, "extents that add up along the axis", in, out);
  return axis;
}

/// Checks an input of any strides and a contiguous output. Throws Error invalidPlan likewise.
inline void checkPad(const PadParams& params, Specs in, Specs out) {
  constexpr const char* op = "pad";
  expectCount(op, in, 1, out, 1);
  const size_t rank = in[0].shape.size();
  expect(params.low.size() == rank && params.high.size() == rank && out[0].shape.size() == rank &&
             out[0].dtype == in[0].dtype && out[0].contiguous(),
         op, "low and high for each axis and a contiguous output", in, out);
  for (size_t i = 0; i < rank; i++)
    expect(
        params.low[i] >= 0 && params.high[i] >= 0 && out[0].shape[i] == in[0].shape[i] + params.low[i] + params.high[i],
        op, "extents of low + input + high with neither negative", in, out);
}

}  // namespace heddle
