// Pooling over up to 3 spatial axes with strides of their own, read from a step's specs: what every backend starts
// from.
#pragma once

#include <algorithm>
#include <array>

#include "check.h"

namespace heddle {

using Extents = std::array<int64_t, 3>;

inline Extents spatialOf(const std::vector<int64_t>& shape) {
  Extents extents{1, 1, 1};
  for (size_t i = 2; i < std::min<size_t>(shape.size(), 5); i++) extents[i - 2] = shape[i];
  return extents;
}

inline Extents unflatten(int64_t position, const Extents& extents) {
  Extents p;
  for (size_t i = 3; i-- > 0; position /= extents[i]) p[i] = position % extents[i];
  return p;
}

/// Calls `visit` with each position, in row-major order.
template <typename Visit>
void eachPosition(const Extents& extents, Visit&& visit) {
  for (Extents p{}; p[0] < extents[0]; p[0]++)
    for (p[1] = 0; p[1] < extents[1]; p[1]++)
      for (p[2] = 0; p[2] < extents[2]; p[2]++) visit(p);
}

/// A [N, C, spatial...] operand's strides; missing spatial axes have extent 1.
class PlaneStrides {
 public:
  int64_t batch, channel;

  explicit PlaneStrides(const TensorSpec& spec)
      : batch(spec.strides[0]), channel(spec.strides[1]), extents_(spatialOf(spec.shape)) {
    for (size_t i = 2; i < spec.strides.size(); i++) strides_[i - 2] = spec.strides[i];
    int64_t expected = 0;
    for (size_t i = 3; i-- > 0;) {
      if (extents_[i] == 1) continue;
      if (expected == 0) expected = step_ = strides_[i];
      even_ = even_ && strides_[i] == expected;
      expected *= extents_[i];
    }
  }
  /// Whether each plane lies in row-major order without gaps.
  bool dense() const { return even_ && step_ <= 1; }
  int64_t spatial(size_t axis) const { return strides_[axis]; }
  int64_t at(const Extents& p) const { return p[0] * strides_[0] + p[1] * strides_[1] + p[2] * strides_[2]; }
  /// For a row-major position in the plane; planes in row-major order need no division.
  int64_t at(int64_t position) const { return even_ ? position * step_ : at(unflatten(position, extents_)); }

 private:
  Extents extents_;
  Extents strides_{0, 0, 0};
  int64_t step_ = 0;
  bool even_ = true;
};

inline int64_t volume(const Extents& extents) { return extents[0] * extents[1] * extents[2]; }

/// Windows over the input; padding holds no elements.
struct PoolWindows {
  Extents in, out, kernel{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};

  /// Checks shapes against the window parameters.
  PoolWindows(const char* op, const std::vector<int64_t>& input, const std::vector<int64_t>& output,
              const std::vector<int64_t>& size, const std::vector<int64_t>& step, const std::vector<int64_t>& paddings,
              const std::vector<int64_t>& gaps, Specs inputs, Specs outputs)
      : in(spatialOf(input)), out(spatialOf(output)) {
    const size_t rank = size.size();
    expect(rank >= 1 && rank <= 3 && input.size() == rank + 2 && output.size() == rank + 2 && step.size() == rank &&
               paddings.size() == 2 * rank && (gaps.empty() || gaps.size() == rank) && input[0] == output[0] &&
               input[1] == output[1],
           op, "[N,C,spatial...] with kernel, stride and [low..., high...] padding for 1 to 3 spatial axes", inputs,
           outputs);
    for (size_t i = 0; i < rank; i++) {
      kernel[i] = size[i];
      stride[i] = step[i];
      padding[i] = paddings[i];
      if (!gaps.empty()) dilation[i] = gaps[i];
      const bool positive =
          size[i] >= 1 && step[i] >= 1 && dilation[i] >= 1 && padding[i] >= 0 && paddings[rank + i] >= 0;
      const int64_t room = in[i] + padding[i] + paddings[rank + i] - dilation[i] * (kernel[i] - 1) - 1;
      expect(positive && out[i] == (room < 0 ? 0 : room / stride[i] + 1), op,
             "floor((input + padding - dilation * (kernel - 1) - 1) / stride) + 1 positions in each spatial axis",
             inputs, outputs);
    }
  }

  /// Calls `visit` with each input position of the window at `p`, in row-major order.
  template <typename Visit>
  void eachInput(const Extents& p, Visit&& visit) const {
    Extents first, last;
    for (size_t i = 0; i < 3; i++) {
      const int64_t start = p[i] * stride[i] - padding[i];
      first[i] = start < 0 ? start + (-start + dilation[i] - 1) / dilation[i] * dilation[i] : start;
      last[i] = std::min(start + dilation[i] * (kernel[i] - 1), in[i] - 1);
    }
    for (Extents q{first[0], 0, 0}; q[0] <= last[0]; q[0] += dilation[0])
      for (q[1] = first[1]; q[1] <= last[1]; q[1] += dilation[1])
        for (q[2] = first[2]; q[2] <= last[2]; q[2] += dilation[2]) visit(q);
  }
};

/// Each throws Error invalidPlan where the specs are not what the op promises.
inline PoolWindows readMaxPool(const MaxPoolParams& params, Specs in, Specs out) {
  constexpr const char* op = "maxPool";
  expectCount(op, in, 1, out, params.positions ? 2 : 1);
  expect(out[0].dtype == in[0].dtype, op, "y of the input's dtype", in, out);
  if (params.positions)
    expect(out[1].dtype == DType::i32 && out[1].shape == out[0].shape, op, "an i32 index of y's shape", in, out);
  return PoolWindows(op, in[0].shape, out[0].shape, params.kernel, params.stride, params.padding, params.dilation, in,
                     out);
}

namespace pooling {

template <typename Params>
PoolWindows readByIndex(const char* op, const Params& params, const TensorSpec& large, const TensorSpec& small,
                        Specs in, Specs out) {
  expect(in[1].shape == small.shape && in[1].dtype == DType::i32 && large.dtype == small.dtype, op,
         "operands of one dtype and an i32 index like the pooled one", in, out);
  return PoolWindows(op, large.shape, small.shape, params.kernel, params.stride, params.padding, params.dilation, in,
                     out);
}

}  // namespace pooling

inline PoolWindows readMaxPoolGrad(const MaxPoolGradParams& params, Specs in, Specs out) {
  constexpr const char* op = "maxPoolGrad";
  expectCount(op, in, 2, out, 1);
  expect(out[0].shape == params.inputShape, op, "an output of inputShape", in, out);
  return pooling::readByIndex(op, params, out[0], in[0], in, out);
}

inline PoolWindows readMaxPoolGather(const MaxPoolGatherParams& params, Specs in, Specs out) {
  expectCount("maxPoolGather", in, 2, out, 1);
  return pooling::readByIndex("maxPoolGather", params, in[0], out[0], in, out);
}

/// avgPool, and with `kGrad` its gradient.
template <bool kGrad, typename Params>
PoolWindows readAvgPool(const Params& params, Specs in, Specs out) {
  constexpr const char* op = kGrad ? "avgPoolGrad" : "avgPool";
  expectCount(op, in, 1, out, 1);
  expect(in[0].dtype == out[0].dtype, op, "operands of one dtype", in, out);
  return PoolWindows(op, (kGrad ? out : in)[0].shape, (kGrad ? in : out)[0].shape, params.kernel, params.stride,
                     params.padding, {}, in, out);
}

}  // namespace heddle
