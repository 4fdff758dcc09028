// Ops avgPool and avgPoolGrad: means of windows, and their gradient as one sum per input element in a fixed order. Bound
// by memory: the large operand and the small one once; overlapping windows meet in the caches.
#include "kernels.h"
#include "pooling.h"

namespace heddle::cuda {
namespace {

/// What a window's sum is divided by.
template <typename C>
__device__ inline C divisorOf(const Windows& w, const PlanePosition& p, bool countPadding) {
  int count = 1;
#pragma unroll
  for (int i = 0; i < 3; i++) {
    const int start = p.at[i] * w.stride[i] - w.padding[i];
    count *= countPadding ? w.kernel[i] : min(start + w.kernel[i], w.in[i]) - max(start, 0);
  }
  return static_cast<C>(max(count, 1));
}

template <typename T, int width>
__global__ void avgPoolWindows(const T* x, T* y, const __grid_constant__ Windows w,
                               const __grid_constant__ PoolTasks tasks, PoolStrides xs, PoolStrides ys,
                               bool countPadding) {
  using C = Compute<T>;
  for (uint32_t task = blockIdx.x * blockDim.x + threadIdx.x; task < tasks.count; task += gridDim.x * blockDim.x) {
    const PoolPlace place = tasks.at(task);
    const T* plane = x + xs.plane(place.image, place.channel);
    C sum[width] = {};
    w.eachInput(place.position, [&](const PlanePosition& q) {
      const Pack<T, width> values = loadPack<width>(plane + xs.at(q));
#pragma unroll
      for (int j = 0; j < width; j++) sum[j] += widen(values.element[j]);
    });
    const C divisor = divisorOf<C>(w, place.position, countPadding);
    Pack<T, width> result;
#pragma unroll
    for (int j = 0; j < width; j++) result.element[j] = narrow<T>(sum[j] / divisor);
    storePack(y + ys.plane(place.image, place.channel) + ys.at(place.position), result);
  }
}

template <typename T, int width>
__global__ void avgPoolGradient(const T* dy, T* dx, const __grid_constant__ Windows w,
                                const __grid_constant__ PoolTasks tasks, PoolStrides dys, PoolStrides dxs,
                                bool countPadding) {
  using C = Compute<T>;
  for (uint32_t task = blockIdx.x * blockDim.x + threadIdx.x; task < tasks.count; task += gridDim.x * blockDim.x) {
    const PoolPlace place = tasks.at(task);
    const T* plane = dy + dys.plane(place.image, place.channel);
    C sum[width] = {};
    w.eachWindow(place.position, [&](const PlanePosition& p) {
      const Pack<T, width> slopes = loadPack<width>(plane + dys.at(p));
      const C divisor = divisorOf<C>(w, p, countPadding);
#pragma unroll
      for (int j = 0; j < width; j++) sum[j] += widen(slopes.element[j]) / divisor;
    });
    Pack<T, width> result;
#pragma unroll
    for (int j = 0; j < width; j++) result.element[j] = narrow<T>(sum[j]);
    storePack(dx + dxs.plane(place.image, place.channel) + dxs.at(place.position), result);
  }
}

template <typename T, bool kGrad>
class AvgPool : public Kernel {
 public:
  AvgPool(const char* op, const PoolWindows& windows, const TensorSpec& source, const TensorSpec& target,
          bool countPadding)
      : op_(op),
        p_(op, windows, target, {&source, &target}),
        source_(p_.strides(source)),
        target_(p_.strides(target)),
        countPadding_(countPadding) {}

  void run(const RunOperands& operands) override {
    constexpr int wide = 16 / sizeof(T);
    const auto* from = static_cast<const T*>(operands.inputs[0]);
    auto* to = static_cast<T*>(operands.outputs[0]);
    if (p_.packs(wide) && packAligned(from) && packAligned(to))
      queue<wide>(from, to);
    else
      queue<1>(from, to);
  }

 private:
  template <int width>
  void queue(const T* from, T* to) const {
    constexpr auto kernel = kGrad ? avgPoolGradient<T, width> : avgPoolWindows<T, width>;
    p_.eachPart(width, [&](const PoolTasks& tasks, unsigned grid) {
      launch(op_, kernel, grid, 256, 0, from, to, p_.windows, tasks, source_, target_, countPadding_);
    });
  }

  const char* op_;
  const PoolProblem p_;
  const PoolStrides source_, target_;
  const bool countPadding_;
};

template <bool kGrad, typename Params>
std::unique_ptr<Kernel> make(const char* op, const Params& params, Specs in, Specs out) {
  expectCount(op, in, 1, out, 1);
  const TensorSpec& x = kGrad ? out[0] : in[0];
  const TensorSpec& y = kGrad ? in[0] : out[0];
  expect(x.dtype == y.dtype, op, "operands of one dtype", in, out);
  const PoolWindows windows(op, x.shape, y.shape, params.kernel, params.stride, params.padding, {}, in, out);
  return dispatchFloat(op, x.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<AvgPool<typename decltype(tag)::type, kGrad>>(op, windows, in[0], out[0],
                                                                          params.countIncludePad);
  });
}

std::unique_ptr<Kernel> makeAvgPool(WordReader& words, Specs in, Specs out) {
  return make<false>("avgPool", AvgPoolParams::read(words), in, out);
}

std::unique_ptr<Kernel> makeAvgPoolGrad(WordReader& words, Specs in, Specs out) {
  return make<true>("avgPoolGrad", AvgPoolGradParams::read(words), in, out);
}

}  // namespace

void registerAvgPool(KernelTable& table) {
  table.add(OpId::avgPool, makeAvgPool);
  table.add(OpId::avgPoolGrad, makeAvgPoolGrad);
}

}  // namespace heddle::cuda
