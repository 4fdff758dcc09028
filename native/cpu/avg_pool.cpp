// Ops avgPool and avgPoolGrad: means of windows, and their gradient as one sum per input element in a fixed order.
#include <omp.h>

#include <algorithm>

#include "../core/pooling_problem.h"
#include "avg_pool_planes.h"
#include "kernels.h"
#include "levels.h"

#define HEDDLE_LOOPS "avg_pool_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

struct Range {
  int64_t first, end;

  bool operator==(const Range&) const = default;
};

/// The windows along one axis.
struct WindowAxis {
  int64_t in, out, kernel, stride, padding;

  WindowAxis(const PoolWindows& windows, size_t axis)
      : in(windows.in[axis]),
        out(windows.out[axis]),
        kernel(windows.kernel[axis]),
        // How far a second window would be has no meaning where there is one.
        stride(out > 1 ? windows.stride[axis] : std::max<int64_t>(in + windows.padding[axis], 1)),
        padding(windows.padding[axis]) {}

  /// From the first element or padding to the last.
  int64_t span() const { return std::max(padding + in, (out - 1) * stride + kernel); }

  Range elementsOf(int64_t window) const {
    const int64_t start = window * stride - padding;
    return {std::max<int64_t>(start, 0), std::min(start + kernel, in)};
  }
  /// How many elements of a window count.
  int64_t sizeOf(int64_t window, bool countPadding) const {
    const auto [first, end] = elementsOf(window);
    return countPadding ? kernel : std::max<int64_t>(end - first, 1);
  }
  Range windowsOf(int64_t element) const {
    const int64_t reach = element + padding - kernel + 1;
    return {reach <= 0 ? 0 : (reach + stride - 1) / stride, std::min((element + padding) / stride + 1, out)};
  }
};

/// In channels-last memory one pixel at a time, with vectors over its channels. Else row by row, in two steps: across
/// the row, whose elements lie side by side, into a row of sums, then along it; but where rows would be padded to many
/// times their length, one element at a time.
template <typename T, bool kGrad>
class AvgPool : public Kernel {
  using C = Compute<T>;
  static constexpr int64_t kMostPadded = 16;
  static constexpr int64_t kMostVectors = 3;  // that a vector of means is read from

 public:
  AvgPool(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y, bool countPadding)
      : axes_{WindowAxis(windows, 0), WindowAxis(windows, 1), WindowAxis(windows, 2)},
        target_(kGrad ? x : y),
        source_(kGrad ? y : x),
        extents_(kGrad ? windows.in : windows.out),
        batch_(x.shape[0]),
        channels_(x.shape[1]),
        threads_(omp_get_max_threads()) {
    for (size_t i = 0; i < 3; i++) {
      if (axes_[i].in > 1) row_ = i;
      for (int64_t p = 0; p < axes_[i].out; p++) sizes_[i].push_back(static_cast<C>(axes_[i].sizeOf(p, countPadding)));
    }
    const bool last = channels_ > 1 && target_.channel == 1 && source_.channel == 1;
    if (last) width_ = channels_;
    pixels_ = last || axes_[row_].span() > kMostPadded * axes_[row_].in;
    measureScratch();
  }

  size_t workspaceBytes() const override { return static_cast<size_t>(scratch_ * threads_) * sizeof(C); }

  void run(const RunOperands& operands) override {
    const auto* from = static_cast<const T*>(operands.inputs[0]);
    auto* to = static_cast<T*>(operands.outputs[0]);
    const int64_t planes = channels_ / width_;
    Extents parts = extents_;
    if (!pixels_) parts[row_] = 1;
#pragma omp parallel num_threads(threads_) if (batch_ * channels_ * volume(extents_) > 4096)
    {
      C* scratch = static_cast<C*>(operands.workspace) + scratch_ * omp_get_thread_num();
      std::fill_n(scratch, length_, C{0});
      Sources held;
#pragma omp for collapse(5) schedule(static)
      for (int64_t n = 0; n < batch_; n++)
        for (int64_t c = 0; c < planes; c++)
          for (int64_t i = 0; i < parts[0]; i++)
            for (int64_t j = 0; j < parts[1]; j++)
              for (int64_t k = 0; k < parts[2]; k++) {
                const Extents p{i, j, k};
                const Sources sources = sourcesOf(from + n * source_.batch + c * source_.channel, p);
                T* target = to + n * target_.batch + c * target_.channel + target_.at(p);
                if (pixels_)
                  pixel(sources, p, scratch, target);
                else if constexpr (kGrad)
                  gradRow(sources, held, scratch, target);
                else
                  row(sources, p, scratch, target);
              }
    }
  }

 private:
  /// What goes into a pixel of the target, or into a row, whose own axis has no part in it.
  struct Sources {
    const T* plane = nullptr;
    std::array<Range, 3> ranges{};

    bool operator==(const Sources&) const = default;
  };

  void measureScratch() {
    constexpr int64_t line = 64 / sizeof(C);
    const auto inLines = [](int64_t count) { return (count + line - 1) / line * line; };
    const WindowAxis& row = axes_[row_];
    if (pixels_) {
      scratch_ = length_ = inLines(width_);
    } else if (kGrad) {
      front_ = (row.kernel - 1) / row.stride;
      strides_ = (row.in + row.padding + row.stride - 1) / row.stride;
      length_ = inLines(front_ + std::max(row.out, strides_));
      scratch_ = length_ + inLines(strides_ * row.stride);
    } else {
      front_ = row.padding;
      // Behind it are zeros for the vectors that the last windows are read in.
      length_ = inLines(row.span() + kMostVectors * line);
      scratch_ = length_;
    }
  }

  bool across(size_t axis) const { return pixels_ || axis != row_; }

  Sources sourcesOf(const T* plane, const Extents& p) const {
    Sources sources{plane, {}};
    for (size_t i = 0; i < 3; i++)
      sources.ranges[i] = !across(i) ? Range{0, 1} : kGrad ? axes_[i].windowsOf(p[i]) : axes_[i].elementsOf(p[i]);
    return sources;
  }

  /// How many elements of a window count.
  C sizeOf(const Extents& window) const {
    C size = 1;
    for (size_t i = 0; i < 3; i++)
      if (across(i)) size *= sizes_[i][static_cast<size_t>(window[i])];
    return size;
  }

  void add(const Sources& sources, int64_t step, int64_t count, C* sums) const {
    std::fill_n(sums, count, C{0});
    const auto& [a, b, c] = sources.ranges;
    for (Extents q{a.first, 0, 0}; q[0] < a.end; q[0]++)
      for (q[1] = b.first; q[1] < b.end; q[1]++)
        for (q[2] = c.first; q[2] < c.end; q[2]++)
          add_(sources.plane + source_.at(q), step, kGrad ? 1 / sizeOf(q) : C{1}, count, sums);
  }

  void pixel(const Sources& sources, const Extents& p, C* sums, T* to) const {
    add(sources, 1, width_, sums);
    storeQuotients_(sums, kGrad ? C{1} : sizeOf(p), width_, to, 1);
  }

  void row(const Sources& sources, const Extents& p, C* scratch, T* to) const {
    const WindowAxis& axis = axes_[row_];
    add(sources, source_.spatial(row_), axis.in, scratch + front_);
    storeMeans_(scratch, axis.kernel, axis.stride, sizeOf(p), sizes_[row_].data(), axis.out, to, target_.spatial(row_));
  }

  /// The same windows may lie over several rows, so the sums they led to are held.
  void gradRow(const Sources& sources, Sources& held, C* scratch, T* to) const {
    const WindowAxis& axis = axes_[row_];
    C *sums = scratch + front_, *spread = scratch + length_;
    if (sources != held) {
      add(sources, source_.spatial(row_), axis.out, sums);
      for (int64_t j = 0; j < axis.out; j++) sums[j] /= sizes_[row_][static_cast<size_t>(j)];
      spread_(sums, axis.kernel, axis.stride, strides_, spread);
      held = sources;
    }
    storeQuotients_(spread + axis.padding, C{1}, axis.in, to, target_.spatial(row_));
  }

  decltype(&base::addScaled<T>) add_ = HEDDLE_DISPATCH(addScaled<T>);
  decltype(&base::storeQuotients<T>) storeQuotients_ = HEDDLE_DISPATCH(storeQuotients<T>);
  decltype(&base::storeMeans<T>) storeMeans_ = HEDDLE_DISPATCH(storeMeans<T>);
  decltype(&base::spreadRow<C>) spread_ = HEDDLE_DISPATCH(spreadRow<C>);
  std::array<WindowAxis, 3> axes_;
  std::array<std::vector<C>, 3> sizes_;
  PlaneStrides target_, source_;
  Extents extents_;
  int64_t batch_, channels_;
  bool pixels_ = false;
  int64_t width_ = 1;  // channels of a pixel that lie together
  int threads_;
  size_t row_ = 2;                    // the innermost axis of more than one element
  int64_t front_ = 0;                 // zeros before a row of sums
  int64_t strides_ = 0;               // strides that cover a padded row of the gradient
  int64_t length_ = 0, scratch_ = 0;  // of the row of sums, and with what it is spread to
};

template <bool kGrad, typename Params>
std::unique_ptr<Kernel> make(const Params& params, Specs in, Specs out) {
  const PoolWindows windows = readAvgPool<kGrad>(params, in, out);
  const TensorSpec& x = kGrad ? out[0] : in[0];
  const TensorSpec& y = kGrad ? in[0] : out[0];
  if constexpr (!kGrad) {
    std::array<std::vector<int64_t>, 3> sizes;
    for (size_t i = 0; i < 3; i++)
      for (int64_t p = 0; p < windows.out[i]; p++)
        sizes[i].push_back(WindowAxis(windows, i).sizeOf(p, params.countIncludePad));
    if (auto planes = makeAvgPoolPlanes(windows, x, y, sizes)) return planes;
  }
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
