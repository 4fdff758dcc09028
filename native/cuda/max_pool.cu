// Ops maxPool, maxPoolGrad and maxPoolGather. Bound by memory: the large operand is read (the gradient: written) once,
// the small ones and the positions once; overlapping windows meet in the caches.
#include <limits>

#include "device/report.h"
#include "kernels.h"
#include "pooling.h"
#include "units.h"

namespace heddle::cuda {
namespace {

template <typename C>
constexpr C kLowest =
    std::numeric_limits<C>::has_infinity ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::lowest();

/// NaN wins, and the last of several; of equal elements the first does. A null index is not written.
template <typename T, int width>
__global__ void maxPoolWindows(const T* x, T* y, int* index, const __grid_constant__ Windows w,
                               const __grid_constant__ PoolTasks tasks, PoolStrides xs, PoolStrides ys,
                               PoolStrides indexs) {
  using C = Compute<T>;
  for (uint32_t task = blockIdx.x * blockDim.x + threadIdx.x; task < tasks.count; task += gridDim.x * blockDim.x) {
    const PoolPlace place = tasks.at(task);
    const T* plane = x + xs.plane(place.image, place.channel);
    C best[width];
    Pack<int, width> where;
#pragma unroll
    for (int j = 0; j < width; j++) {
      best[j] = kLowest<C>;
      where.element[j] = -1;
    }
    w.eachInput(place.position, [&](const PlanePosition& q) {
      const Pack<T, width> values = loadPack<width>(plane + xs.at(q));
      const int position = w.flat(q);
#pragma unroll
      for (int j = 0; j < width; j++) {
        const C value = widen(values.element[j]);
        const bool larger = value > best[j] || value != value || where.element[j] < 0;
        best[j] = larger ? value : best[j];
        where.element[j] = larger ? position : where.element[j];
      }
    });
    Pack<T, width> result;
#pragma unroll
    for (int j = 0; j < width; j++) result.element[j] = narrow<T>(best[j]);
    storePack(y + ys.plane(place.image, place.channel) + ys.at(place.position), result);
    if (index != nullptr)
      storePack(index + indexs.plane(place.image, place.channel) + indexs.at(place.position), where);
  }
}

/// Whether a saved position is one; -1 is a window that held no element. Reported by where it lies in memory, which is
/// dense.
__device__ inline bool inPlane(int position, int plane, int64_t at, const Reporter& reporter) {
  if (position >= -1 && position < plane) return true;
  reportFinding(reporter, Finding::planeIndex, at, position, plane);
  return false;
}

/// Each input element adds up the windows that picked it, so that the order is fixed and nothing is written twice.
template <typename T, int width>
__global__ void maxPoolGradient(const T* dy, const int* index, T* dx, const __grid_constant__ Windows w,
                                const __grid_constant__ PoolTasks tasks, PoolStrides dys, PoolStrides indexs,
                                PoolStrides dxs, Reporter reporter) {
  using C = Compute<T>;
  const int size = w.in[0] * w.in[1] * w.in[2];
  for (uint32_t task = blockIdx.x * blockDim.x + threadIdx.x; task < tasks.count; task += gridDim.x * blockDim.x) {
    const PoolPlace place = tasks.at(task);
    const T* slopes = dy + dys.plane(place.image, place.channel);
    const int64_t indices = indexs.plane(place.image, place.channel);
    const int own = w.flat(place.position);
    C sum[width] = {};
    w.eachWindow(place.position, [&](const PlanePosition& p) {
      const int64_t at = indices + indexs.at(p);
      const Pack<int, width> picked = loadPack<width>(index + at);
      const Pack<T, width> slope = loadPack<width>(slopes + dys.at(p));
#pragma unroll
      for (int j = 0; j < width; j++) {
        inPlane(picked.element[j], size, at + j, reporter);
        if (picked.element[j] == own) sum[j] = static_cast<C>(sum[j] + widen(slope.element[j]));
      }
    });
    Pack<T, width> result;
#pragma unroll
    for (int j = 0; j < width; j++) result.element[j] = narrow<T>(sum[j]);
    storePack(dx + dxs.plane(place.image, place.channel) + dxs.at(place.position), result);
  }
}

template <typename Unit, int width>
__global__ void maxPoolPick(const Unit* ddx, const int* index, Unit* ddy, const __grid_constant__ Windows w,
                            const __grid_constant__ PoolTasks tasks, PoolStrides ddxs, PoolStrides indexs,
                            PoolStrides ddys, Divider<uint32_t> rows, Divider<uint32_t> columns, Reporter reporter) {
  const int size = w.in[0] * w.in[1] * w.in[2];
  for (uint32_t task = blockIdx.x * blockDim.x + threadIdx.x; task < tasks.count; task += gridDim.x * blockDim.x) {
    const PoolPlace place = tasks.at(task);
    const int64_t at = indexs.plane(place.image, place.channel) + indexs.at(place.position);
    const Pack<int, width> picked = loadPack<width>(index + at);
    Pack<Unit, width> result;
#pragma unroll
    for (int j = 0; j < width; j++) {
      const int position = picked.element[j];
      result.element[j] = Unit{};
      if (!inPlane(position, size, at + j, reporter) || position < 0) continue;
      auto rest = static_cast<uint32_t>(position);
      PlanePosition q;
      q.at[2] = static_cast<int>(split(rest, columns));
      q.at[1] = static_cast<int>(split(rest, rows));
      q.at[0] = static_cast<int>(rest);
      result.element[j] = ddx[ddxs.plane(place.image, place.channel + j) + ddxs.at(q)];
    }
    storePack(ddy + ddys.plane(place.image, place.channel) + ddys.at(place.position), result);
  }
}

/// As many channels as fit 16 bytes of elements and of positions.
template <typename T>
constexpr int kWidth = 16 / (sizeof(T) > 4 ? sizeof(T) : 4);

/// Calls `function` with the number of channels a task has, as a constant.
template <int wide, typename Function>
void dispatchWidth(bool packs, Function&& function) {
  if (packs) return function(std::integral_constant<int, wide>{});
  return function(std::integral_constant<int, 1>{});
}

template <typename T>
class MaxPool : public Kernel {
 public:
  /// `index` is y's spec where no positions are wanted.
  MaxPool(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y, const TensorSpec& index)
      : p_("maxPool", windows, y, {&x, &y, &index}), x_(p_.strides(x)), y_(p_.strides(y)), index_(p_.strides(index)) {}

  void run(const RunOperands& operands) override {
    constexpr int wide = kWidth<T>;
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* y = static_cast<T*>(operands.outputs[0]);
    auto* index = operands.outputs.size() > 1 ? static_cast<int*>(operands.outputs[1]) : nullptr;
    const bool packs = p_.packs(wide) && packsAligned<wide>(x) && packsAligned<wide>(y) && packsAligned<wide>(index);
    dispatchWidth<wide>(packs, [&](auto chosen) {
      constexpr int width = decltype(chosen)::value;
      p_.eachPart(width, [&](const PoolTasks& tasks, unsigned grid) {
        launch("maxPool", maxPoolWindows<T, width>, grid, 256, 0, x, y, index, p_.windows, tasks, x_, y_, index_);
      });
    });
  }

 private:
  const PoolProblem p_;
  const PoolStrides x_, y_, index_;
};

template <typename T>
class MaxPoolGrad : public Kernel {
 public:
  MaxPoolGrad(const PoolWindows& windows, const TensorSpec& dx, const TensorSpec& dy, const TensorSpec& index)
      : p_("maxPoolGrad", windows, dx, {&dx, &dy, &index}),
        dx_(p_.strides(dx)),
        dy_(p_.strides(dy)),
        index_(p_.strides(index)) {}

  void run(const RunOperands& operands) override {
    constexpr int wide = kWidth<T>;
    const auto* dy = static_cast<const T*>(operands.inputs[0]);
    const auto* index = static_cast<const int*>(operands.inputs[1]);
    auto* dx = static_cast<T*>(operands.outputs[0]);
    const Reporter reporter = Context::current().reporter(OpId::maxPoolGrad);
    const bool packs = p_.packs(wide) && packsAligned<wide>(dy) && packsAligned<wide>(dx) && packsAligned<wide>(index);
    dispatchWidth<wide>(packs, [&](auto chosen) {
      constexpr int width = decltype(chosen)::value;
      p_.eachPart(width, [&](const PoolTasks& tasks, unsigned grid) {
        launch("maxPoolGrad", maxPoolGradient<T, width>, grid, 256, 0, dy, index, dx, p_.windows, tasks, dy_, index_,
               dx_, reporter);
      });
    });
  }

 private:
  const PoolProblem p_;
  const PoolStrides dx_, dy_, index_;
};

template <typename Unit>
class MaxPoolGather : public Kernel {
 public:
  MaxPoolGather(const PoolWindows& windows, const TensorSpec& ddx, const TensorSpec& ddy, const TensorSpec& index)
      : p_("maxPoolGather", windows, ddy, {&ddx, &ddy, &index}),
        ddx_(p_.strides(ddx)),
        ddy_(p_.strides(ddy)),
        index_(p_.strides(index)) {}

  void run(const RunOperands& operands) override {
    constexpr int wide = kWidth<Unit>;
    const auto* ddx = static_cast<const Unit*>(operands.inputs[0]);
    const auto* index = static_cast<const int*>(operands.inputs[1]);
    auto* ddy = static_cast<Unit*>(operands.outputs[0]);
    const Reporter reporter = Context::current().reporter(OpId::maxPoolGather);
    const Divider<uint32_t> rows(std::max(p_.windows.in[1], 1)), columns(std::max(p_.windows.in[2], 1));
    const bool packs = p_.packs(wide) && packsAligned<wide>(ddy) && packsAligned<wide>(index);
    dispatchWidth<wide>(packs, [&](auto chosen) {
      constexpr int width = decltype(chosen)::value;
      p_.eachPart(width, [&](const PoolTasks& tasks, unsigned grid) {
        launch("maxPoolGather", maxPoolPick<Unit, width>, grid, 256, 0, ddx, index, ddy, p_.windows, tasks, ddx_,
               index_, ddy_, rows, columns, reporter);
      });
    });
  }

 private:
  const PoolProblem p_;
  const PoolStrides ddx_, ddy_, index_;
};

std::unique_ptr<Kernel> makeMaxPool(WordReader& words, Specs in, Specs out) {
  const PoolWindows windows = readMaxPool(MaxPoolParams::read(words), in, out);
  return dispatchAny("maxPool", in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<MaxPool<typename decltype(tag)::type>>(windows, in[0], out[0], out.back());
  });
}

std::unique_ptr<Kernel> makeMaxPoolGrad(WordReader& words, Specs in, Specs out) {
  const PoolWindows windows = readMaxPoolGrad(MaxPoolGradParams::read(words), in, out);
  return dispatchAny("maxPoolGrad", out[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<MaxPoolGrad<typename decltype(tag)::type>>(windows, out[0], in[0], in[1]);
  });
}

std::unique_ptr<Kernel> makeMaxPoolGather(WordReader& words, Specs in, Specs out) {
  const PoolWindows windows = readMaxPoolGather(MaxPoolGatherParams::read(words), in, out);
  return dispatchElement(bytesOf(in[0].dtype), [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<MaxPoolGather<typename decltype(tag)::type>>(windows, in[0], out[0], in[1]);
  });
}

}  // namespace

void registerMaxPool(KernelTable& table) {
  table.add(OpId::maxPool, makeMaxPool);
  table.add(OpId::maxPoolGrad, makeMaxPoolGrad);
  table.add(OpId::maxPoolGather, makeMaxPoolGather);
}

}  // namespace heddle::cuda
