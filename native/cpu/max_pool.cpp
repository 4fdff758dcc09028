// Ops maxPool, maxPoolGrad and maxPoolGather: the largest element of each window and its position in the input's plane.
#include <algorithm>
#include <limits>

#include "../core/element.h"
#include "../core/pooling_problem.h"
#include "kernels.h"
#include "levels.h"
#include "max_pool_rows.h"
#include "max_pool_values.h"

namespace heddle {

/// The elements of a window that lie in the input: how many in each axis, and how far apart in memory and in the plane.
struct WindowElements {
  Extents count, step, positionStep;
};

}  // namespace heddle

#define HEDDLE_LOOPS "max_pool_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

template <typename C>
constexpr C kLowest =
    std::numeric_limits<C>::has_infinity ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::lowest();

/// Neighbouring windows that have the same of their elements in the input.
struct WindowRun {
  int64_t first, count;
  int64_t firstElement, elements;
};

template <typename T>
class MaxPool : public Kernel {
  using C = Compute<T>;

 public:
  MaxPool(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y, const TensorSpec& index)
      : w_(windows), x_(x), y_(y), index_(index), batch_(x.shape[0]), channels_(x.shape[1]) {
    for (size_t i = 0; i < 3; i++)
      if (w_.out[i] > 1) row_ = i;
    pixels_ = x_.channel == 1 && y_.channel == 1 && index_.channel == 1;
    for (size_t i = 0; i < 3; i++)
      for (int64_t p = 0; p < w_.out[i]; p++) addWindow(i, p);
  }

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* y = static_cast<T*>(operands.outputs[0]);
    auto* index = static_cast<int32_t*>(operands.outputs[1]);
    const int64_t planes = pixels_ ? 1 : channels_;
    const auto extent = [&](size_t axis) { return static_cast<int64_t>(runs_[axis].size()); };
#pragma omp parallel for collapse(4) schedule(static) if (batch_ * channels_ * volume(w_.out) > 4096)
    for (int64_t n = 0; n < batch_; n++)
      for (int64_t c = 0; c < planes; c++)
        for (int64_t i = 0; i < extent(0); i++)
          for (int64_t j = 0; j < extent(1); j++)
            for (int64_t k = 0; k < extent(2); k++)
              take({&runs_[0][i], &runs_[1][j], &runs_[2][k]}, x + n * x_.batch + c * x_.channel,
                   y + n * y_.batch + c * y_.channel, index + n * index_.batch + c * index_.channel);
  }

 private:
  void addWindow(size_t axis, int64_t p) {
    const int64_t start = p * w_.stride[axis] - w_.padding[axis], gap = w_.dilation[axis];
    const int64_t first = start < 0 ? (-start + gap - 1) / gap : 0;
    const int64_t end = start < w_.in[axis] ? std::min((w_.in[axis] - 1 - start) / gap + 1, w_.kernel[axis]) : 0;
    const int64_t elements = std::max<int64_t>(end - first, 0);
    auto& runs = runs_[axis];
    const bool joins = !pixels_ && axis == row_ && !runs.empty() && runs.back().firstElement == first &&
                       runs.back().elements == elements;
    if (joins)
      runs.back().count++;
    else
      runs.push_back({p, 1, first, elements});
  }

  /// Windows along the row, or in channels-last memory all channels of one.
  void take(const std::array<const WindowRun*, 3>& runs, const T* x, T* y, int32_t* index) const {
    const Extents plane{w_.in[1] * w_.in[2], w_.in[2], 1};
    Extents p, q;
    WindowElements window;
    int64_t position = 0;
    for (size_t i = 0; i < 3; i++) {
      p[i] = runs[i]->first;
      q[i] = p[i] * w_.stride[i] - w_.padding[i] + runs[i]->firstElement * w_.dilation[i];
      position += q[i] * plane[i];
      window.count[i] = runs[i]->elements;
      window.step[i] = w_.dilation[i] * x_.spatial(i);
      window.positionStep[i] = w_.dilation[i] * plane[i];
    }
    const int64_t count = pixels_ ? channels_ : runs[row_]->count;
    const int64_t strideY = pixels_ ? 1 : y_.spatial(row_), strideIndex = pixels_ ? 1 : index_.spatial(row_);
    y += y_.at(p);
    index += index_.at(p);
    if (volume(window.count) == 0) {
      for (int64_t j = 0; j < count; j++) {
        y[j * strideY] = store<T>(kLowest<C>);
        index[j * strideIndex] = -1;
      }
      return;
    }
    const int64_t stride = pixels_ ? 1 : w_.stride[row_] * x_.spatial(row_);
    const auto step = static_cast<int32_t>(pixels_ ? 0 : w_.stride[row_] * plane[row_]);
    take_(x + x_.at(q), static_cast<int32_t>(position), window, stride, step, count, y, strideY, index, strideIndex);
  }

  decltype(&base::takeLargest<T>) take_ = HEDDLE_DISPATCH(takeLargest<T>);
  PoolWindows w_;
  PlaneStrides x_, y_, index_;
  int64_t batch_, channels_;
  size_t row_ = 2;  // the innermost axis of more than one window
  bool pixels_ = false;
  std::array<std::vector<WindowRun>, 3> runs_;
};

/// Both directions through saved positions: with kScatter adds dy to dx at its position (zero elsewhere), else reads
/// ddx there. A position of -1 is a window that held no element.
template <typename T, bool kScatter>
class MaxPoolByIndex : public Kernel {
  using C = Compute<T>;

 public:
  MaxPoolByIndex(const char* op, const PoolWindows& windows, const TensorSpec& large, const TensorSpec& small,
                 const TensorSpec& index)
      : op_(op),
        in_(windows.in),
        out_(windows.out),
        large_(large),
        small_(small),
        index_(index),
        batch_(large.shape[0]),
        channels_(large.shape[1]),
        size_(large.size()),
        // In channels-last memory of one channel planes are both.
        dense_(large_.dense() && small_.dense() && index_.dense() && (large_.channel != 1 || channels_ == 1)) {}

  void run(const RunOperands& operands) override {
    const auto* index = static_cast<const int32_t*>(operands.inputs[1]);
    const auto* from = static_cast<const T*>(operands.inputs[0]);
    auto* to = static_cast<T*>(operands.outputs[0]);
    checkPositions(index);
    // Neighbouring channels share cache lines in channels-last memory, so a thread takes a block of them.
    const int64_t block = large_.channel == 1 ? std::min<int64_t>(channels_, 64) : 1;
    const int64_t blocks = (channels_ + block - 1) / block;
#pragma omp parallel for schedule(static) if (size_ > 8192)
    for (int64_t task = 0; task < batch_ * blocks; task++) {
      const int64_t n = task / blocks, first = task % blocks * block, last = std::min(first + block, channels_);
      const PlaneStrides &source = kScatter ? small_ : large_, &target = kScatter ? large_ : small_;
      const T* here = from + n * source.batch + first * source.channel;
      T* there = to + n * target.batch + first * target.channel;
      const int32_t* positions = index + n * index_.batch + first * index_.channel;
      if constexpr (kScatter) clear(there, last - first);
      if (dense_)
        movePlane(here, positions, there);
      else
        moveChannels(here, positions, there, last - first);
    }
  }

 private:
  /// Each thread clears what it adds to, so that it is in its cache.
  void clear(T* to, int64_t channels) const {
    const int64_t plane = volume(in_);
    if (dense_) {
      std::fill_n(to, plane, store<T>(C{0}));
      return;
    }
    for (int64_t position = 0; position < plane; position++) {
      T* pixel = to + large_.at(position);
      if (large_.channel == 1)
        std::fill_n(pixel, channels, store<T>(C{0}));
      else
        for (int64_t c = 0; c < channels; c++) pixel[c * large_.channel] = store<T>(C{0});
    }
  }

  static void moveOne(const T* from, T* to, int64_t large, int64_t small, bool empty) {
    if constexpr (kScatter) {
      if (!empty) to[large] = store<T>(static_cast<C>(load(to[large]) + load(from[small])));
    } else {
      to[small] = empty ? store<T>(C{0}) : from[large];
    }
  }

  /// One plane, row-major in each operand, where positions are offsets: finding these would cost more than the rest.
  void movePlane(const T* from, const int32_t* index, T* to) const {
    const int64_t windows = volume(out_);
    for (int64_t position = 0; position < windows; position++)
      moveOne(from, to, index[position], position, index[position] < 0);
  }

  void moveChannels(const T* from, const int32_t* index, T* to, int64_t channels) const {
    const int64_t windows = volume(out_);
    for (int64_t position = 0; position < windows; position++) {
      const int64_t small = small_.at(position), indexAt = index_.at(position);
      for (int64_t c = 0; c < channels; c++) {
        const int64_t q = index[indexAt + c * index_.channel];
        moveOne(from, to, c * large_.channel + (q < 0 ? 0 : large_.at(q)), small + c * small_.channel, q < 0);
      }
    }
  }

  // The index is dense, so its memory can be walked in order.
  void checkPositions(const int32_t* index) const {
    const int64_t count = batch_ * channels_ * volume(out_), plane = volume(in_);
    // Which one it is matters only where there is one.
    bool anyBad = false;
#pragma omp parallel for simd schedule(static) reduction(|| : anyBad) if (parallel : count > 16384)
    for (int64_t i = 0; i < count; i++) anyBad = anyBad || index[i] < -1 || index[i] >= plane;
    if (!anyBad) return;
    const int64_t bad = std::find_if(index, index + count, [&](int32_t q) { return q < -1 || q >= plane; }) - index;
    throw Error(ErrorCode::invalidArgument, std::string(op_) + ": index " + std::to_string(index[bad]) +
                                                " at position " + std::to_string(bad) +
                                                " is out of range; it must be in [0, " + std::to_string(plane) +
                                                "), a position in the input's plane");
  }

  const char* op_;
  Extents in_, out_;
  PlaneStrides large_, small_, index_;
  int64_t batch_, channels_, size_;
  bool dense_;
};

std::unique_ptr<Kernel> makeMaxPool(WordReader& words, Specs in, Specs out) {
  const MaxPoolParams params = MaxPoolParams::read(words);
  const PoolWindows windows = readMaxPool(params, in, out);
  if (!params.positions) return makeMaxPoolValues(windows, in[0], out[0]);
  if (auto rows = makeMaxPoolRows(windows, in[0], out[0], out[1])) return rows;
  return dispatchAny("maxPool", in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<MaxPool<typename decltype(tag)::type>>(windows, in[0], out[0], out[1]);
  });
}

// The windows tell other backends where an element may have been picked; here the positions are enough.
template <bool kScatter>
std::unique_ptr<Kernel> makeByIndex(const char* op, const PoolWindows& windows, const TensorSpec& large,
                                    const TensorSpec& small, const TensorSpec& index) {
  return dispatchAny(op, large.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<MaxPoolByIndex<typename decltype(tag)::type, kScatter>>(op, windows, large, small, index);
  });
}

std::unique_ptr<Kernel> makeMaxPoolGrad(WordReader& words, Specs in, Specs out) {
  const PoolWindows windows = readMaxPoolGrad(MaxPoolGradParams::read(words), in, out);
  return makeByIndex<true>("maxPoolGrad", windows, out[0], in[0], in[1]);
}

std::unique_ptr<Kernel> makeMaxPoolGather(WordReader& words, Specs in, Specs out) {
  const PoolWindows windows = readMaxPoolGather(MaxPoolGatherParams::read(words), in, out);
  return makeByIndex<false>("maxPoolGather", windows, in[0], out[0], in[1]);
}

}  // namespace

void registerMaxPool(KernelTable& table) {
  table.add(OpId::maxPool, makeMaxPool);
  table.add(OpId::maxPoolGrad, makeMaxPoolGrad);
  table.add(OpId::maxPoolGather, makeMaxPoolGather);
}

}  // namespace heddle
