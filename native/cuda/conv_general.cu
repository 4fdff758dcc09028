// Convolution by direct sums, for what cuDNN has no engine for. A thread makes one element of y or dx; a block makes
// one of dw, its threads' partial sums in a fixed order. Bound by reads that caches serve in part: one product takes
// two.
#include <algorithm>

#include "../core/element.h"
#include "conv.h"
#include "device/activation.h"
#include "device/reduce.h"
#include "device/scalar.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

struct Extents {
  int64_t at[3];
};

/// Shapes and strides with 3 spatial axes, the missing ones of extent 1.
struct Geometry {
  int64_t batch, groups, inputs, outputs;  // channels per group
  Extents in, out, kernel, stride, padding, dilation;
  int64_t x[5], weight[5], y[5];
};

__device__ inline int64_t count(const Extents& e) { return e.at[0] * e.at[1] * e.at[2]; }

__device__ inline Extents unflatten(int64_t index, const Extents& extents) {
  const int64_t plane = index / extents.at[2];
  return {{plane / extents.at[1], plane % extents.at[1], index % extents.at[2]}};
}

__device__ inline int64_t offset(const int64_t (&strides)[5], int64_t first, int64_t second, const Extents& p) {
  return first * strides[0] + second * strides[1] + p.at[0] * strides[2] + p.at[1] * strides[3] + p.at[2] * strides[4];
}

/// The input position under a kernel element; false in the padding.
__device__ inline bool inputAt(const Geometry& g, const Extents& out, const Extents& kernel, Extents& in) {
  bool inside = true;
  for (int i = 0; i < 3; i++) {
    in.at[i] = out.at[i] * g.stride.at[i] - g.padding.at[i] + kernel.at[i] * g.dilation.at[i];
    inside = inside && in.at[i] >= 0 && in.at[i] < g.in.at[i];
  }
  return inside;
}

/// The output position that reads an input through a kernel element; false where there is none.
__device__ inline bool outputAt(const Geometry& g, const Extents& in, const Extents& kernel, Extents& out) {
  bool inside = true;
  for (int i = 0; i < 3; i++) {
    const int64_t distance = in.at[i] + g.padding.at[i] - kernel.at[i] * g.dilation.at[i];
    out.at[i] = distance / g.stride.at[i];
    inside = inside && distance >= 0 && distance % g.stride.at[i] == 0 && out.at[i] < g.out.at[i];
  }
  return inside;
}

/// Image, channel and position of an element of a result, numbered along its memory.
struct Element {
  int64_t image, channel;
  Extents position;

  __device__ Element(int64_t index, int64_t channels, const Extents& extents, bool channelsLast) {
    const int64_t size = count(extents), along = channelsLast ? index / channels : index;
    channel = channelsLast ? index % channels : index / size % channels;
    image = channelsLast ? along / size : index / size / channels;
    position = unflatten(along % size, extents);
  }
};

template <typename T>
__global__ void forwardElements(const T* x, const T* weight, const T* bias, T* y, const __grid_constant__ Geometry g,
                                bool channelsLast, Activation activation) {
  using C = Compute<T>;
  const int64_t channels = g.groups * g.outputs, elements = g.batch * channels * count(g.out);
  const int64_t taps = count(g.kernel), step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += step) {
    const Element e(i, channels, g.out, channelsLast);
    const int64_t base = e.channel / g.outputs * g.inputs;
    C sum = 0;
    for (int64_t c = 0; c < g.inputs; c++)
      for (int64_t tap = 0; tap < taps; tap++) {
        const Extents kernel = unflatten(tap, g.kernel);
        Extents in;
        if (inputAt(g, e.position, kernel, in))
          sum += widen(x[offset(g.x, e.image, base + c, in)]) * widen(weight[offset(g.weight, e.channel, c, kernel)]);
      }
    if (bias) sum += widen(bias[e.channel]);
    y[offset(g.y, e.image, e.channel, e.position)] = narrow<T>(activate(activation, sum));
  }
}

template <typename T>
__global__ void inputGradElements(const T* dy, const T* weight, T* dx, const __grid_constant__ Geometry g,
                                  bool channelsLast) {
  using C = Compute<T>;
  const int64_t channels = g.groups * g.inputs, elements = g.batch * channels * count(g.in);
  const int64_t taps = count(g.kernel), step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += step) {
    const Element e(i, channels, g.in, channelsLast);
    const int64_t base = e.channel / g.inputs * g.outputs;
    C sum = 0;
    for (int64_t o = base; o < base + g.outputs; o++)
      for (int64_t tap = 0; tap < taps; tap++) {
        const Extents kernel = unflatten(tap, g.kernel);
        Extents out;
        if (outputAt(g, e.position, kernel, out))
          sum += widen(dy[offset(g.y, e.image, o, out)]) *
                 widen(weight[offset(g.weight, o, e.channel % g.inputs, kernel)]);
      }
    dx[offset(g.x, e.image, e.channel, e.position)] = narrow<T>(sum);
  }
}

template <typename T>
__global__ void weightGradElements(const T* x, const T* dy, T* dw, const __grid_constant__ Geometry g) {
  using C = Compute<T>;
  __shared__ C scratch[32];
  const int64_t taps = count(g.kernel), elements = g.groups * g.outputs * g.inputs * taps;
  const int64_t positions = count(g.out), products = g.batch * positions;
  for (int64_t i = blockIdx.x; i < elements; i += gridDim.x) {
    const Extents kernel = unflatten(i % taps, g.kernel);
    const int64_t c = i / taps % g.inputs, o = i / taps / g.inputs, base = o / g.outputs * g.inputs;
    C sum = 0;
    for (int64_t product = threadIdx.x; product < products; product += blockDim.x) {
      const int64_t image = product / positions;
      const Extents out = unflatten(product % positions, g.out);
      Extents in;
      if (inputAt(g, out, kernel, in))
        sum += widen(x[offset(g.x, image, base + c, in)]) * widen(dy[offset(g.y, image, o, out)]);
    }
    sum = blockReduce<Sum>(sum, C(0), scratch);
    if (threadIdx.x == 0) dw[offset(g.weight, o, c, kernel)] = narrow<T>(sum);
  }
}

Geometry geometryOf(const ConvProblem& p) {
  Geometry g{};
  g.batch = p.x.shape[0];
  g.groups = p.groups;
  g.inputs = p.weight.shape[1];
  g.outputs = p.weight.shape[0] / p.groups;
  g.in = g.out = g.kernel = g.stride = g.dilation = {{1, 1, 1}};
  for (size_t i = 0; i < p.x.shape.size(); i++) {
    g.x[i] = p.x.strides[i];
    g.weight[i] = p.weight.strides[i];
    g.y[i] = p.y.strides[i];
    if (i < 2) continue;
    g.in.at[i - 2] = p.x.shape[i];
    g.out.at[i - 2] = p.y.shape[i];
    g.kernel.at[i - 2] = p.weight.shape[i];
    g.stride.at[i - 2] = p.stride[i - 2];
    g.padding.at[i - 2] = p.paddingLow[i - 2];
    g.dilation.at[i - 2] = p.dilation[i - 2];
  }
  return g;
}

template <typename T>
class ConvGeneral : public Kernel {
 public:
  ConvGeneral(const ConvProblem& p, ConvDirection direction)
      : direction_(direction), g_(geometryOf(p)), hasBias_(p.hasBias), activation_(p.activation) {
    const TensorSpec& result = direction == ConvDirection::forward     ? p.y
                               : direction == ConvDirection::inputGrad ? p.x
                                                                       : p.weight;
    elements_ = result.size();
    channelsLast_ = result.strides[1] == 1 && result.shape[1] > 1;
    const int64_t products = p.y.shape[1] == 0 ? 0 : p.y.size() / p.y.shape[1];
    threads_ = static_cast<unsigned>(std::clamp((products + 31) / 32 * 32, int64_t{32}, int64_t{256}));
  }

  void run(const RunOperands& operands) override {
    const auto* first = static_cast<const T*>(operands.inputs[0]);
    const auto* second = static_cast<const T*>(operands.inputs[1]);
    auto* result = static_cast<T*>(operands.outputs[0]);
    if (direction_ == ConvDirection::forward)
      launch("conv", forwardElements<T>, gridFor(elements_, 256), 256, 0, first, second,
             hasBias_ ? static_cast<const T*>(operands.inputs[2]) : nullptr, result, g_, channelsLast_, activation_);
    else if (direction_ == ConvDirection::inputGrad)
      launch("convInputGrad", inputGradElements<T>, gridFor(elements_, 256), 256, 0, first, second, result, g_,
             channelsLast_);
    else
      launch("convWeightGrad", weightGradElements<T>, gridFor(elements_, 1), threads_, 0, first, second, result, g_);
  }

 private:
  const ConvDirection direction_;
  const Geometry g_;
  const bool hasBias_;
  const Activation activation_;
  int64_t elements_;
  bool channelsLast_;
  unsigned threads_;
};

}  // namespace

std::unique_ptr<Kernel> makeConvGeneral(const ConvProblem& problem, ConvDirection direction) {
  return dispatchFloat(nameOf(direction), problem.x.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<ConvGeneral<typename decltype(tag)::type>>(problem, direction);
  });
}

}  // namespace heddle::cuda
