// Ops avgPool and avgPoolGrad: means of windows, and their gradient as one sum per input element in a fixed order.
#include <algorithm>

#include "../core/pooling_problem.h"
#include "kernels.h"

namespace heddle {
namespace {

template <typename T, bool kGrad>
class AvgPool : public Kernel {
  using C = Compute<T>;

 public:
  AvgPool(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y, bool countPadding)
      : w_(windows), x_(x), y_(y), batch_(x.shape[0]), channels_(x.shape[1]), countPadding_(countPadding) {}

  void run(const RunOperands& operands) override {
    const auto* from = static_cast<const T*>(operands.inputs[0]);
    auto* to = static_cast<T*>(operands.outputs[0]);
    const Extents& extents = kGrad ? w_.in : w_.out;
    const PlaneStrides& target = kGrad ? x_ : y_;
    const PlaneStrides& source = kGrad ? y_ : x_;
    const int64_t plane = volume(extents);
    // Channels innermost where they lie together, outermost where planes do.
    const bool together = target.channel == 1;
#pragma omp parallel for schedule(static) if (batch_ * channels_ * plane > 4096)
    for (int64_t task = 0; task < batch_ * (together ? plane : channels_); task++) {
      const int64_t count = together ? plane : channels_, other = together ? channels_ : plane;
      const int64_t n = task / count;
      for (int64_t i = 0; i < other; i++) {
        const int64_t c = together ? i : task % count;
        const Extents p = unflatten(together ? task % count : i, extents);
        const T* base = from + n * source.batch + c * source.channel;
        to[n * target.batch + c * target.channel + target.at(p)] = store<T>(kGrad ? gradAt(base, p) : meanAt(base, p));
      }
    }
  }

 private:
  int64_t divisor(const Extents& p) const {
    if (countPadding_) return volume(w_.kernel);
    int64_t count = 1;
    for (size_t i = 0; i < 3; i++) {
      const int64_t start = p[i] * w_.stride[i] - w_.padding[i];
      count *= std::min(start + w_.kernel[i], w_.in[i]) - std::max<int64_t>(start, 0);
    }
    return std::max<int64_t>(count, 1);
  }

  C meanAt(const T* x, const Extents& p) const {
    C sum = 0;
    w_.eachInput(p, [&](const Extents& q) { sum += load(x[x_.at(q)]); });
    return sum / static_cast<C>(divisor(p));
  }

  C gradAt(const T* dy, const Extents& q) const {
    Extents first, last;
    for (size_t i = 0; i < 3; i++) {
      const int64_t reach = q[i] + w_.padding[i] - w_.kernel[i] + 1;
      first[i] = reach <= 0 ? 0 : (reach + w_.stride[i] - 1) / w_.stride[i];
      last[i] = std::min((q[i] + w_.padding[i]) / w_.stride[i], w_.out[i] - 1);
    }
    C sum = 0;
    for (Extents p{first[0], 0, 0}; p[0] <= last[0]; p[0]++)
      for (p[1] = first[1]; p[1] <= last[1]; p[1]++)
        for (p[2] = first[2]; p[2] <= last[2]; p[2]++) sum += load(dy[y_.at(p)]) / static_cast<C>(divisor(p));
    return sum;
  }

  PoolWindows w_;
  PlaneStrides x_, y_;
  int64_t batch_, channels_;
  bool countPadding_;
};

template <bool kGrad, typename Params>
std::unique_ptr<Kernel> make(const Params& params, Specs in, Specs out) {
  const PoolWindows windows = readAvgPool<kGrad>(params, in, out);
  const TensorSpec& x = kGrad ? out[0] : in[0];
  const TensorSpec& y = kGrad ? in[0] : out[0];
  return dispatchFloat(kGrad ? "avgPoolGrad" : "avgPool", x.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<AvgPool<typename decltype(tag)::type, kGrad>>(windows, x, y, params.countIncludePad);
  });
}

std::unique_ptr<Kernel> makeAvgPool(WordReader& words, Specs in, Specs out) {
  return make<false>(AvgPoolParams::read(words), in, out);
}

std::unique_ptr<Kernel> makeAvgPoolGrad(WordReader& words, Specs in, Specs out) {
  return make<true>(AvgPoolGradParams::read(words), in, out);
}

}  // namespace

void registerAvgPool(KernelTable& table) {
  table.add(OpId::avgPool, makeAvgPool);
  table.add(OpId::avgPoolGrad, makeAvgPoolGrad);
}

}  // namespace heddle
