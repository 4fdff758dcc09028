// Cross entropy on class indices and its gradient, checked against a step's specs: what every backend starts from.
#pragma once

#include "check.h"

namespace heddle {

namespace cross_entropy {

inline void check(const char* op, Specs inputs, Specs outputs, std::initializer_list<const TensorSpec*> rows,
                  const TensorSpec* grad) {
  expectContiguous(op, inputs, outputs);
  const TensorSpec& logits = inputs[0];
  expect(logits.shape.size() == 2, op, "logits [N,C]", inputs, outputs);
  const std::vector<int64_t> shape{logits.shape[0]};
  const DType statistic = logits.dtype == DType::f64 ? DType::f64 : DType::f32;
  expect(inputs[1].shape == shape, op, "targets [N]", inputs, outputs);
  if (inputs[1].dtype != DType::i32 && inputs[1].dtype != DType::i64)
    throw Error(ErrorCode::unsupported,
                std::string(op) + ": indices must be i32 or i64, not " + nameOf(inputs[1].dtype));
  for (const TensorSpec* spec : rows)
    expect(spec->shape == shape && spec->dtype == statistic, op,
           std::string("losses and log-sum-exps [N] in ") + nameOf(statistic), inputs, outputs);
  if (grad)
    expect(grad->shape == logits.shape && grad->dtype == logits.dtype, op, "a gradient like the logits", inputs,
           outputs);
}

}  // namespace cross_entropy

/// logits [N,C], targets [N] -> losses and log-sum-exps [N]. Throws Error invalidPlan where the specs are not what the
/// op promises, unsupported for targets of other dtypes.
inline void checkCrossEntropy(Specs in, Specs out) {
  expectCount("crossEntropy", in, 2, out, 2);
  cross_entropy::check("crossEntropy", in, out, {&out[0], &out[1]}, nullptr);
}

/// logits, targets, log-sum-exps, losses' gradients -> a gradient like the logits. Throws likewise.
inline void checkCrossEntropyGrad(Specs in, Specs out) {
  expectCount("crossEntropyGrad", in, 4, out, 1);
  cross_entropy::check("crossEntropyGrad", in, out, {&in[2], &in[3]}, &out[0]);
}

}  // namespace heddle
