// One step of an optimizer and the norm of all gradients, read from a step's specs: what every backend starts from.
#pragma once

#include "check.h"

namespace heddle {

/// The parameters' specs; behind them and their gradients are `states` tensors per parameter, in the compute type.
/// Throws Error invalidPlan where the specs are not what the op promises.
inline Specs readOptimizer(const char* op, int64_t count, size_t states, bool hasGradScale, Specs in, Specs out) {
  const size_t scalars = hasGradScale ? 3 : 2;
  expect(count >= 0 && static_cast<uint64_t>(count) <= in.size(), op, "as many tensors as `count` says", in, out);
  const auto tensors = static_cast<size_t>(count);
  expectCount(op, in, scalars + tensors * (2 + states), out, tensors * (1 + states));
  expectContiguous(op, in, out);
  expect(in[0].dtype == DType::f64 && in[0].size() == 1 && in[1].dtype == DType::i64 && in[1].size() == 1 &&
             (!hasGradScale || (in[2].dtype == DType::f64 && in[2].size() == 1)),
         op, "scalars lr (f64), step (i64) and, where it is used, gradScale (f64)", in, out);
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
inline bool readGlobalNorm(Specs in, Specs out) {
  constexpr const char* op = "globalNorm";
  expectCount(op, in, in.size(), out, 1);
  expectContiguous(op, in, out);
  for (const TensorSpec& spec : in) expect(isFloat(spec.dtype), op, "float tensors", in, out);
  const bool wide = out[0].dtype == DType::f64;
  expect((wide || out[0].dtype == DType::f32) && out[0].size() == 1, op, "one f32 or f64 scalar as output", in, out);
  return wide;
}

}  // namespace heddle
