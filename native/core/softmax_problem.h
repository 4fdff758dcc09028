// softmax, logSoftmax and their gradients, read from a step's specs: what every backend starts from.
#pragma once

#include "check.h"

namespace heddle {

/// Rows along the last axis.
struct SoftmaxRows {
  int64_t count, size;
};

/// All operands are contiguous and equal in shape and dtype. Throws Error invalidPlan where the specs are not what the
/// op promises.
inline SoftmaxRows readSoftmaxRows(const char* op, Specs inputs, size_t inputCount, Specs outputs) {
  expectCount(op, inputs, inputCount, outputs, 1);
  expectContiguous(op, inputs, outputs);
  for (const TensorSpec& spec : inputs)
    expect(!spec.shape.empty() && spec.shape == outputs[0].shape && spec.dtype == outputs[0].dtype, op,
           "operands of one shape, of rank 1 or more, and one dtype", inputs, outputs);
  const int64_t size = outputs[0].shape.back();
  return {size == 0 ? 0 : outputs[0].size() / size, size};
}

}  // namespace heddle
