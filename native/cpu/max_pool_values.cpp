// Max pooling without positions. Where rows are taken, the first step goes across those of a window, so of zeros of
// both signs either may be the largest.
#include "max_pool_values.h"

#include <omp.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "../core/element.h"
#include "kernels.h"
#include "levels.h"
#include "pool_planes.h"

namespace heddle {

template <typename C>
constexpr C kLowest =
    std::numeric_limits<C>::has_infinity ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::lowest();

}  // namespace heddle

#define HEDDLE_LOOPS "max_pool_values_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

/// In channels-last memory one window at a time, with vectors over its channels, and so where neither channels nor
/// elements of a row lie side by side.
template <typename T>
class MaxPoolPixels : public Kernel {
 public:
  MaxPoolPixels(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y)
      : w_(windows), x_(x), y_(y), batch_(x.shape[0]), channels_(x.shape[1]), threads_(omp_get_max_threads()) {
    if (x_.channel == 1 && y_.channel == 1) width_ = channels_;
    for (size_t axis = 0; axis < 3; axis++) {
      int64_t most = 0;
      for (int64_t p = 0; p < w_.out[axis]; p++) {
        reaches_[axis].push_back(reachOf(w_, axis, p));
        most = std::max(most, reaches_[axis].back().count);
      }
      mostElements_ *= most;
    }
  }

  size_t workspaceBytes() const override { return static_cast<size_t>(offsetBytes() * threads_); }

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* y = static_cast<T*>(operands.outputs[0]);
    const int64_t planes = channels_ / std::max<int64_t>(width_, 1);
#pragma omp parallel num_threads(threads_) if (batch_ * channels_ * volume(w_.out) > 4096)
    {
      char* workspace = static_cast<char*>(operands.workspace) + offsetBytes() * omp_get_thread_num();
      auto* offsets = reinterpret_cast<int64_t*>(workspace);
#pragma omp for collapse(5) schedule(static)
      for (int64_t n = 0; n < batch_; n++)
        for (int64_t c = 0; c < planes; c++)
          for (int64_t i = 0; i < w_.out[0]; i++)
            for (int64_t j = 0; j < w_.out[1]; j++)
              for (int64_t k = 0; k < w_.out[2]; k++)
                take({i, j, k}, x + n * x_.batch + c * x_.channel, y + n * y_.batch + c * y_.channel, offsets);
    }
  }

 private:
  int64_t offsetBytes() const { return roundUp(mostElements_ * int64_t{sizeof(int64_t)}, 64); }

  void take(const Extents& p, const T* x, T* y, int64_t* offsets) const {
    std::array<Reach, 3> r;
    for (size_t axis = 0; axis < 3; axis++) r[axis] = reaches_[axis][static_cast<size_t>(p[axis])];
    int64_t count = 0;
    for (int64_t i = 0; i < r[0].count; i++)
      for (int64_t j = 0; j < r[1].count; j++)
        for (int64_t k = 0; k < r[2].count; k++)
          offsets[count++] = x_.at(
              {r[0].first + i * w_.dilation[0], r[1].first + j * w_.dilation[1], r[2].first + k * w_.dilation[2]});
    y += y_.at(p);
    if (count > 0)
      largest_(x, offsets, count, width_, y);
    else
      std::fill_n(y, width_, store<T>(kLowest<Compute<T>>));
  }

  decltype(&base::largestOfPixels<T>) largest_ = HEDDLE_DISPATCH(largestOfPixels<T>);
  PoolWindows w_;
  PlaneStrides x_, y_;
  int64_t batch_, channels_;
  int threads_;
  int64_t width_ = 1;  // channels that lie together
  int64_t mostElements_ = 1;
  std::array<std::vector<Reach>, 3> reaches_;
};

template <typename T>
class MaxPoolPlanes : public Kernel {
  using C = Compute<T>;

 public:
  MaxPoolPlanes(const PoolWindows& w, const TensorSpec& x, const TensorSpec& y) : rows_(w, x, y, sizeof(C)) {}

  size_t workspaceBytes() const override { return static_cast<size_t>(rows_.held() * rows_.threads()) * sizeof(C); }

  void run(const RunOperands& operands) override {
    rows_.each(static_cast<const T*>(operands.inputs[0]), static_cast<T*>(operands.outputs[0]), operands.workspace,
               kLowest<C>, [&](const T* x, T* y, int64_t first, int64_t last, C* held) {
                 largest_(rows_.windows(), x, first, last, held, y);
               });
  }

 private:
  decltype(&base::largestOfPlane<T>) largest_ = HEDDLE_DISPATCH(largestOfPlane<T>);
  PlaneRows rows_;
};

template <typename T>
std::unique_ptr<Kernel> make(const PoolWindows& w, const TensorSpec& x, const TensorSpec& y) {
  if (PlaneRows::suit(w, x, y)) return std::make_unique<MaxPoolPlanes<T>>(w, x, y);
  return std::make_unique<MaxPoolPixels<T>>(w, x, y);
}

}  // namespace

std::unique_ptr<Kernel> makeMaxPoolValues(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y) {
  switch (x.dtype) {
    case DType::u8: return make<uint8_t>(windows, x, y);
    case DType::i8: return make<int8_t>(windows, x, y);
    default:
      return dispatchFloat("maxPool", x.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
        return make<typename decltype(tag)::type>(windows, x, y);
      });
  }
}

}  // namespace heddle
