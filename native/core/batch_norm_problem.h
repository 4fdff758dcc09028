// Batch norm in its two directions, read from a step's specs: what every backend starts from.
#pragma once

#include "check.h"

namespace heddle {

/// Dense memory in whatever order of axes is [outer][channels][inner] around the channel axis.
struct ChannelMemory {
  int64_t outer, channels, inner;

  explicit ChannelMemory(const TensorSpec& spec) {
    const int64_t size = spec.size();
    channels = spec.shape[1];
    inner = channels == 1 ? size : spec.strides[1];
    outer = size == 0 ? 0 : size / (channels * inner);
  }
  int64_t perChannel() const { return outer * inner; }
};

/// The operands that are as large as x; `dy` is null forward.
struct BatchNormSpecs {
  const TensorSpec &x, *dy, &out;
};

namespace batch_norm {

inline void check(const char* op, Specs in, Specs out, std::initializer_list<const TensorSpec*> wide,
                  std::initializer_list<const TensorSpec*> narrow,
                  std::initializer_list<const TensorSpec*> statistics) {
  const TensorSpec& x = **wide.begin();
  expect(x.shape.size() >= 2, op, "x of [N,C,...]", in, out);
  const std::vector<int64_t> shape{x.shape[1]};
  for (const TensorSpec* spec : wide)
    expect(spec->shape == x.shape && spec->dtype == x.dtype, op, "operands of one shape and dtype", in, out);
  for (const TensorSpec* spec : narrow)
    expect(spec->shape == shape && spec->dtype == x.dtype && spec->contiguous(), op, "weights [C] of x's dtype", in,
           out);
  for (const TensorSpec* spec : statistics)
    expect(
        spec->shape == shape && spec->dtype == (x.dtype == DType::f64 ? DType::f64 : DType::f32) && spec->contiguous(),
        op, "f32 statistics [C] (f64 for f64)", in, out);
}

}  // namespace batch_norm

/// Each throws Error invalidPlan where the specs are not what the op promises.
inline BatchNormSpecs readBatchNorm(Specs in, Specs out) {
  expectCount("batchNorm", in, 3, out, 3);
  batch_norm::check("batchNorm", in, out, {&in[0], &out[0]}, {&in[1], &in[2]}, {&out[1], &out[2]});
  return {in[0], nullptr, out[0]};
}

inline BatchNormSpecs readBatchNormGrad(Specs in, Specs out) {
  expectCount("batchNormGrad", in, 5, out, 3);
  batch_norm::check("batchNormGrad", in, out, {&in[1], &in[0], &out[0]}, {&in[2], &out[1], &out[2]}, {&in[3], &in[4]});
  return {in[1], &in[0], out[0]};
}

}  // namespace heddle
