// One step of an optimizer and the norm of all gradients, read from a step's specs: what every backend starts from.
#pragma once

#include "check.h"

namespace heddle {

/// Which scalars an optimizer's inputs begin with: the learning rate, the step and those that are there.
struct StepScalarKinds {
  bool gradScale, applies;

  template <typename Params>
  explicit StepScalarKinds(const Params& params) : gradScale(params.hasGradScale), applies(params.hasApplies) {}

  /// The input that says whether the step applies.
  size_t appliesPosition() const { return gradScale ? 3 : 2; }
  size_t count() const { return appliesPosition() + (applies ? 1 : 0); }
};

/// The parameters' specs; behind them and their gradients are `states` tensors per parameter, in the compute type.
/// Throws Error invalidPlan where the specs are not what the op promises.
inline Specs readOptimizer(const char* op, int64_t count, size_t states, StepScalarKinds kinds, Specs in, Specs out) {
  const size_t scalars = kinds.count();
  expect(count >= 0 && static_cast<uint64_t>(count) <= in.size(), op, "as many tensors as `count` says", in, out);
  const auto tensors = static_cast<size_t>(count);
  expectCount(op, in, scalars + tensors * (2 + states), out, tensors * (1 + states));
  expectContiguous(op, in, out);
  const auto scalar = [&](size_t position, DType dtype) {
    return in[position].dtype == dtype && in[position].size() == 1;
  };
  expect(scalar(0, DType::f64) && scalar(1, DType::i64) && (!kinds.gradScale || scalar(2, DType::f64)) &&
             (!kinds.applies || scalar(kinds.appliesPosition(), DType::bool_)),
         op, "scalars lr (f64), step (i64) and, where they are used, gradScale (f64) and applies (bool)", in, out);
  const Specs params = in.subspan(scalars, tensors);
  for (size_t i = 0; i < tensors; i++) {
    const TensorSpec& param = params[i];
    const DType state = param.dtype == DType::f64 ? DType::f64 : DType::f32;
    const auto like = [&](const TensorSpec& spec, DType dtype) {
      return spec.shape == param.shape && spec.dtype == dtype;
    };
    bool good = isFloat(param.dtype) && like(in[scalars + tensors + i], param.dtype) && like(out[i], param.dtype);
    for (size_t s = 0; s < states; s++)
      good = good && like(in[scalars + (2 + s) * tensors + i], state) && like(out[(1 + s) * tensors + i], state);
    expect(good, op, "gradients and results like the parameters, moments in f32 (f64 for f64)", in, out);
  }
  return params;
}

/// Whether the result is f64. Throws likewise.
inline bool readGlobalNorm(bool wide, Specs in, Specs out) {
  constexpr const char* op = "globalNorm";
  expectCount(op, in, in.size(), out, 1);
  expectContiguous(op, in, out);
  for (const TensorSpec& spec : in) expect(isFloat(spec.dtype), op, "float tensors", in, out);
  const bool f64 = out[0].dtype == DType::f64;
  expect((f64 || (!wide && out[0].dtype == DType::f32)) && out[0].size() == 1, op,
         "one f32 scalar as output, or an f64 one, as it is where `wide` says so", in, out);
  return f64;
}

}  // namespace heddle
