// Layer norm, RMS norm and their gradients, read from a step's specs: what every backend starts from.
#pragma once

#include "check.h"

namespace heddle {

/// Rows of the leading axes, each of the normalised ones.
struct NormRows {
  int64_t count, size;
};

/// `wide` are operands like x, `narrow` like the normalised axes, `statistics` like the leading ones. Throws Error
/// invalidPlan where the specs are not what the op promises.
inline NormRows readNormRows(const char* op, int64_t axes, Specs inputs, Specs outputs,
                             std::vector<const TensorSpec*> wide, std::vector<const TensorSpec*> narrow,
                             std::vector<const TensorSpec*> statistics) {
  expectContiguous(op, inputs, outputs);
  const std::vector<int64_t>& shape = wide[0]->shape;
  const DType dtype = wide[0]->dtype;
  const auto rank = static_cast<int64_t>(shape.size());
  expect(axes >= 1 && axes <= rank, op, "1 to rank normalised axes", inputs, outputs);
  const std::vector<int64_t> leading(shape.begin(), shape.end() - axes), last(shape.end() - axes, shape.end());
  for (const TensorSpec* spec : wide)
    expect(spec->shape == shape && spec->dtype == dtype, op, "one shape and dtype", inputs, outputs);
  for (const TensorSpec* spec : narrow)
    expect(spec->shape == last && spec->dtype == dtype, op, "weights of shape " + formatList(last), inputs, outputs);
  for (const TensorSpec* spec : statistics)
    expect(spec->shape == leading && spec->dtype == (dtype == DType::f64 ? DType::f64 : DType::f32), op,
           "f32 statistics (f64 for f64) of shape " + formatList(leading), inputs, outputs);
  return {product(leading), product(last)};
}

}  // namespace heddle
