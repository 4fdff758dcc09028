// Convolution by direct sums in f64 (oneDNN's CPU engine has none) and for extents of zero. Each output element is one
// sum in a fixed order.
#include <array>

#include "../core/check.h"
#include "../core/element.h"
#include "conv.h"

namespace heddle {
namespace {

using Extents = std::array<int64_t, 3>;
using Strides = std::array<int64_t, 5>;

/// Shapes and strides with 3 spatial axes, the missing ones of extent 1.
struct Geometry {
  int64_t batch, groups, inputs, outputs;  // channels per group
  Extents in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};
  Strides x{}, weight{}, y{};

  explicit Geometry(const ConvProblem& p)
      : batch(p.x.shape[0]), groups(p.groups), inputs(p.weight.shape[1]), outputs(p.weight.shape[0] / p.groups) {
    for (size_t i = 0; i < p.x.shape.size(); i++) {
      x[i] = p.x.strides[i];
      weight[i] = p.weight.strides[i];
      y[i] = p.y.strides[i];
      if (i < 2) continue;
      in[i - 2] = p.x.shape[i];
      out[i - 2] = p.y.shape[i];
      kernel[i - 2] = p.weight.shape[i];
      stride[i - 2] = p.stride[i - 2];
      padding[i - 2] = p.paddingLow[i - 2];
      dilation[i - 2] = p.dilation[i - 2];
    }
  }
};

int64_t at(const Strides& s, int64_t first, int64_t second, const Extents& p) {
  return first * s[0] + second * s[1] + p[0] * s[2] + p[1] * s[3] + p[2] * s[4];
}

template <typename Visit>
void forEach(const Extents& extents, Visit&& visit) {
  for (Extents p{}; p[0] < extents[0]; p[0]++)
    for (p[1] = 0; p[1] < extents[1]; p[1]++)
      for (p[2] = 0; p[2] < extents[2]; p[2]++) visit(p);
}

/// The input position under a kernel element; false in the padding.
bool inputAt(const Geometry& g, const Extents& out, const Extents& kernel, Extents& in) {
  for (size_t i = 0; i < 3; i++) {
    in[i] = out[i] * g.stride[i] - g.padding[i] + kernel[i] * g.dilation[i];
    if (in[i] < 0 || in[i] >= g.in[i]) return false;
  }
  return true;
}

/// The output position that reads an input through a kernel element; false where there is none.
bool outputAt(const Geometry& g, const Extents& in, const Extents& kernel, Extents& out) {
  for (size_t i = 0; i < 3; i++) {
    const int64_t distance = in[i] + g.padding[i] - kernel[i] * g.dilation[i];
    out[i] = distance / g.stride[i];
    if (distance < 0 || distance % g.stride[i] != 0 || out[i] >= g.out[i]) return false;
  }
  return true;
}

template <typename T>
class ConvDirect : public Kernel {
  using C = Compute<T>;

 public:
  ConvDirect(const ConvProblem& problem, ConvDirection direction)
      : g_(problem), direction_(direction), hasBias_(problem.hasBias), activation_(problem.activation) {}

  void run(const RunOperands& operands) override {
    const auto* first = static_cast<const T*>(operands.inputs[0]);
    const auto* second = static_cast<const T*>(operands.inputs[1]);
    auto* result = static_cast<T*>(operands.outputs[0]);
    if (direction_ == ConvDirection::forward)
      forward(first, second, hasBias_ ? static_cast<const T*>(operands.inputs[2]) : nullptr, result);
    else if (direction_ == ConvDirection::inputGrad)
      inputGrad(first, second, result);
    else
      weightGrad(first, second, result);
  }

 private:
  void forward(const T* x, const T* weight, const T* bias, T* y) const {
    const int64_t channels = g_.groups * g_.outputs;
#pragma omp parallel for schedule(static)
    for (int64_t task = 0; task < g_.batch * channels; task++) {
      const int64_t n = task / channels, o = task % channels, base = o / g_.outputs * g_.inputs;
      forEach(g_.out, [&](const Extents& out) {
        C sum = bias ? load(bias[o]) : C{0};
        for (int64_t c = 0; c < g_.inputs; c++)
          forEach(g_.kernel, [&](const Extents& kernel) {
            Extents in;
            if (inputAt(g_, out, kernel, in))
              sum += load(x[at(g_.x, n, base + c, in)]) * load(weight[at(g_.weight, o, c, kernel)]);
          });
        y[at(g_.y, n, o, out)] = store<T>(static_cast<C>(activate(activation_, static_cast<double>(sum))));
      });
    }
  }

  void inputGrad(const T* dy, const T* weight, T* dx) const {
    const int64_t channels = g_.groups * g_.inputs;
#pragma omp parallel for schedule(static)
    for (int64_t task = 0; task < g_.batch * channels; task++) {
      const int64_t n = task / channels, c = task % channels, base = c / g_.inputs * g_.outputs;
      forEach(g_.in, [&](const Extents& in) {
        C sum = 0;
        for (int64_t o = base; o < base + g_.outputs; o++)
          forEach(g_.kernel, [&](const Extents& kernel) {
            Extents out;
            if (outputAt(g_, in, kernel, out))
              sum += load(dy[at(g_.y, n, o, out)]) * load(weight[at(g_.weight, o, c % g_.inputs, kernel)]);
          });
        dx[at(g_.x, n, c, in)] = store<T>(sum);
      });
    }
  }

  void weightGrad(const T* x, const T* dy, T* dw) const {
#pragma omp parallel for schedule(static)
    for (int64_t task = 0; task < g_.groups * g_.outputs * g_.inputs; task++) {
      const int64_t o = task / g_.inputs, c = task % g_.inputs, base = o / g_.outputs * g_.inputs;
      forEach(g_.kernel, [&](const Extents& kernel) {
        C sum = 0;
        for (int64_t n = 0; n < g_.batch; n++)
          forEach(g_.out, [&](const Extents& out) {
            Extents in;
            if (inputAt(g_, out, kernel, in)) sum += load(x[at(g_.x, n, base + c, in)]) * load(dy[at(g_.y, n, o, out)]);
          });
        dw[at(g_.weight, o, c, kernel)] = store<T>(sum);
      });
    }
  }

  Geometry g_;
  ConvDirection direction_;
  bool hasBias_;
  Activation activation_;
};

}  // namespace

std::unique_ptr<Kernel> makeConvDirect(const ConvProblem& problem, ConvDirection direction) {
  return dispatchFloat("conv", problem.x.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<ConvDirect<typename decltype(tag)::type>>(problem, direction);
  });
}

}  // namespace heddle
