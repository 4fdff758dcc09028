// Means of windows along rows: sums across a window's rows first, then along the row of sums.
#include "avg_pool_planes.h"

#include "../core/element.h"
#include "kernels.h"
#include "levels.h"
#include "pool_planes.h"

#define HEDDLE_LOOPS "avg_pool_planes_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

template <typename T>
class AvgPoolPlanes : public Kernel {
  using C = Compute<T>;

 public:
  AvgPoolPlanes(const PoolWindows& w, const TensorSpec& x, const TensorSpec& y,
                const std::array<std::vector<int64_t>, 3>& sizes)
      : rows_(w, x, y, sizeof(C)) {
    const size_t row = rowAxis(w), a = row == 0 ? 1 : 0, b = row == 2 ? 1 : 2;
    for (const int64_t size : sizes[row]) sizes_.push_back(static_cast<C>(size));
    for (const int64_t across : sizes[a])
      for (const int64_t within : sizes[b]) divisors_.push_back(static_cast<C>(across * within));
  }

  size_t workspaceBytes() const override { return static_cast<size_t>(rows_.held() * rows_.threads()) * sizeof(C); }

  void run(const RunOperands& operands) override {
    rows_.each(static_cast<const T*>(operands.inputs[0]), static_cast<T*>(operands.outputs[0]), operands.workspace,
               C{0}, [&](const T* x, T* y, int64_t first, int64_t last, C* held) {
                 means_(rows_.windows(), x, first, last, held, y, sizes_.data(), divisors_.data());
               });
  }

 private:
  decltype(&base::meansOfPlane<T>) means_ = HEDDLE_DISPATCH(meansOfPlane<T>);
  PlaneRows rows_;
  std::vector<C> sizes_, divisors_;  // along a row, and across the others' axes
};

}  // namespace

std::unique_ptr<Kernel> makeAvgPoolPlanes(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y,
                                          const std::array<std::vector<int64_t>, 3>& sizes) {
  // Long sums along a row are made in blocks elsewhere, for the sake of their rounding.
  constexpr int64_t mostStride = 3, mostKernel = 16;
  const size_t row = rowAxis(windows);
  if (!PlaneRows::suit(windows, x, y) || windows.stride[row] > mostStride || windows.kernel[row] > mostKernel)
    return nullptr;
  return dispatchFloat("avgPool", x.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<AvgPoolPlanes<typename decltype(tag)::type>>(windows, x, y, sizes);
  });
}

}  // namespace heddle
