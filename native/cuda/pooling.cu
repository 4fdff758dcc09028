// Pooling problems in the numbers that kernels take.
#include "pooling.h"

#include <numeric>

namespace heddle::cuda {

namespace {

/// Small enough that sums of a few stay within 32 bits.
constexpr int64_t kLargest = int64_t{1} << 29;

int narrowed(const char* op, int64_t number) {
  if (number <= kLargest) return static_cast<int>(number);
  throw Error(ErrorCode::unsupported, std::string(op) + ": this device takes images, windows and paddings of up to " +
                                          std::to_string(kLargest) + " elements, not " + std::to_string(number));
}

Windows windowsOf(const char* op, const PoolWindows& given) {
  Windows w{};
  for (size_t i = 0; i < 3; i++) {
    w.in[i] = narrowed(op, given.in[i]);
    w.out[i] = narrowed(op, given.out[i]);
    w.kernel[i] = narrowed(op, given.kernel[i]);
    w.padding[i] = narrowed(op, given.padding[i]);
    // Where there is one window or one tap, how far the next would be has no meaning.
    w.stride[i] = given.out[i] <= 1 ? narrowed(op, std::min(given.stride[i], kLargest)) : narrowed(op, given.stride[i]);
    w.dilation[i] = given.kernel[i] == 1 ? 1 : narrowed(op, given.dilation[i]);
    narrowed(op, w.dilation[i] * (given.kernel[i] - 1));
    w.perStride[i] = Divider<uint32_t>(w.stride[i]);
  }
  narrowed(op, volume(given.in));
  narrowed(op, volume(given.kernel));
  return w;
}

}  // namespace

PoolProblem::PoolProblem(const char* op, const PoolWindows& given, const TensorSpec& result,
                         std::initializer_list<const TensorSpec*> operands)
    : windows(windowsOf(op, given)),
      batch_(result.shape[0]),
      channels_(result.shape[1]),
      extents_(spatialOf(result.shape)),
      together_(result.strides[1] == 1 && result.shape[1] > 1) {
  plane_ = volume(extents_);
  narrowed(op, plane_ * channels_);
  for (const TensorSpec* spec : operands) {
    channelsLast_ = channelsLast_ && spec->strides[1] == 1;
    for (size_t i = 0; i < spec->shape.size(); i++)
      if (i != 1 && spec->shape[i] != 1) common_ = std::gcd(common_, spec->strides[i]);
    for (size_t i = 2; i < spec->shape.size(); i++)
      if (spec->shape[i] > 1) narrowed(op, std::abs(spec->strides[i]));
  }
  channelsLast_ = channelsLast_ && together_;
}

PoolStrides PoolProblem::strides(const TensorSpec& spec) const {
  PoolStrides strides{spec.strides[0], spec.strides[1], {0, 0, 0}};
  for (size_t i = 2; i < spec.shape.size(); i++)
    if (spec.shape[i] > 1) strides.spatial[i - 2] = static_cast<int>(spec.strides[i]);
  return strides;
}

}  // namespace heddle::cuda
