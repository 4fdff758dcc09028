// Ops maxPool, maxPoolGrad and maxPoolGather: the largest element of each window and its position in the input's plane.
#include <algorithm>
#include <limits>

#include "../core/element.h"
#include "../core/pooling_problem.h"
#include "kernels.h"
#include "levels.h"

#define HEDDLE_LOOPS "max_pool_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

template <typename C>
constexpr C kLowest =
    std::numeric_limits<C>::has_infinity ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::lowest();

template <typename T>
class MaxPool : public Kernel {
  using C = Compute<T>;

 public:
  MaxPool(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y, const TensorSpec& index)
      : w_(windows), x_(x), y_(y), index_(index), batch_(x.shape[0]), channels_(x.shape[1]) {}

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* y = static_cast<T*>(operands.outputs[0]);
    auto* index = static_cast<int32_t*>(operands.outputs[1]);
    const int64_t plane = volume(w_.out);
    const bool parallel = batch_ * channels_ * plane > 4096;
    if (x_.channel == 1 && y_.channel == 1 && index_.channel == 1) {
#pragma omp parallel for schedule(static) if (parallel)
      for (int64_t task = 0; task < batch_ * plane; task++) {
        const int64_t n = task / plane;
        const Extents p = unflatten(task % plane, w_.out);
        pixel(x + n * x_.batch, y + n * y_.batch + y_.at(p), index + n * index_.batch + index_.at(p), p);
      }
      return;
    }
#pragma omp parallel for schedule(static) if (parallel)
    for (int64_t task = 0; task < batch_ * channels_; task++) {
      const int64_t n = task / channels_, c = task % channels_;
      channel(x + n * x_.batch + c * x_.channel, y + n * y_.batch + c * y_.channel,
              index + n * index_.batch + c * index_.channel);
    }
  }

 private:
  int64_t flat(const Extents& q) const { return (q[0] * w_.in[1] + q[1]) * w_.in[2] + q[2]; }

  /// All channels of one output position, which lie together.
  void pixel(const T* x, T* y, int32_t* index, const Extents& p) const {
    std::fill_n(y, channels_, store<T>(kLowest<C>));
    std::fill_n(index, channels_, -1);
    w_.eachInput(p, [&](const Extents& q) {
      take_(x + x_.at(q), 1, channels_, static_cast<int32_t>(flat(q)), 0, y, 1, index, 1);
    });
  }

  /// One channel, row by row of windows along the innermost axis that has more than one.
  void channel(const T* x, T* y, int32_t* index) const {
    const size_t row = w_.out[2] > 1 ? 2 : w_.out[1] > 1 ? 1 : w_.out[0] > 1 ? 0 : 2;
    Extents rows = w_.out;
    rows[row] = 1;
    eachPosition(rows, [&](const Extents& p) {
      T* ys = y + y_.at(p);
      int32_t* indices = index + index_.at(p);
      for (int64_t j = 0; j < w_.out[row]; j++) {
        ys[j * y_.spatial(row)] = store<T>(kLowest<C>);
        indices[j * index_.spatial(row)] = -1;
      }
      eachPosition(w_.kernel, [&](const Extents& k) { takeRow(x, k, p, row, ys, indices); });
    });
  }

  /// The element at `k` of each window of a row, of those that have it inside the input.
  void takeRow(const T* x, const Extents& k, const Extents& p, size_t row, T* y, int32_t* index) const {
    Extents q;
    for (size_t i = 0; i < 3; i++) {
      q[i] = p[i] * w_.stride[i] - w_.padding[i] + k[i] * w_.dilation[i];
      if (i != row && (q[i] < 0 || q[i] >= w_.in[i])) return;
    }
    const int64_t stride = w_.stride[row];
    const int64_t first = q[row] < 0 ? (-q[row] + stride - 1) / stride : 0;
    if (q[row] + first * stride >= w_.in[row]) return;
    const int64_t last = std::min(w_.out[row] - 1, (w_.in[row] - 1 - q[row]) / stride);
    q[row] += first * stride;
    const int64_t step = stride * (row == 2 ? 1 : row == 1 ? w_.in[2] : w_.in[1] * w_.in[2]);
    take_(x + x_.at(q), stride * x_.spatial(row), last - first + 1, static_cast<int32_t>(flat(q)),
          static_cast<int32_t>(step), y + first * y_.spatial(row), y_.spatial(row), index + first * index_.spatial(row),
          index_.spatial(row));
  }

  decltype(&base::takeLarger<T>) take_ = HEDDLE_DISPATCH(takeLarger<T>);
  PoolWindows w_;
  PlaneStrides x_, y_, index_;
  int64_t batch_, channels_;
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
        size_(large.size()) {}

  void run(const RunOperands& operands) override {
    const auto* index = static_cast<const int32_t*>(operands.inputs[1]);
    const auto* from = static_cast<const T*>(operands.inputs[0]);
    auto* to = static_cast<T*>(operands.outputs[0]);
    checkPositions(index);
    if (kScatter) std::fill_n(to, size_, store<T>(C{0}));
    // Neighbouring channels share cache lines in channels-last memory, so a thread takes a block of them.
    const int64_t block = large_.channel == 1 ? std::min<int64_t>(channels_, 64) : 1;
    const int64_t blocks = (channels_ + block - 1) / block;
#pragma omp parallel for schedule(static) if (size_ > 8192)
    for (int64_t task = 0; task < batch_ * blocks; task++) {
      const int64_t n = task / blocks, first = task % blocks * block, last = std::min(first + block, channels_);
      for (int64_t position = 0; position < volume(out_); position++) {
        const int64_t small = n * small_.batch + small_.at(position);
        const int64_t indexAt = n * index_.batch + index_.at(position);
        for (int64_t c = first; c < last; c++) {
          const int64_t q = index[indexAt + c * index_.channel];
          const int64_t large = n * large_.batch + c * large_.channel + (q < 0 ? 0 : large_.at(q));
          const int64_t here = small + c * small_.channel;
          if constexpr (kScatter) {
            if (q >= 0) to[large] = store<T>(static_cast<C>(load(to[large]) + load(from[here])));
          } else {
            to[here] = q < 0 ? store<T>(C{0}) : from[large];
          }
        }
      }
    }
  }

 private:
  // The index is dense, so its memory can be walked in order.
  void checkPositions(const int32_t* index) const {
    const int64_t count = batch_ * channels_ * volume(out_), plane = volume(in_);
    int64_t bad = count;
#pragma omp parallel for schedule(static) reduction(min : bad) if (count > 16384)
    for (int64_t i = 0; i < count; i++)
      if (index[i] < -1 || index[i] >= plane) bad = std::min(bad, i);
    if (bad < count)
      throw Error(ErrorCode::invalidArgument, std::string(op_) + ": index " + std::to_string(index[bad]) +
                                                  " at position " + std::to_string(bad) +
                                                  " is out of range; it must be in [0, " + std::to_string(plane) +
                                                  "), a position in the input's plane");
  }

  const char* op_;
  Extents in_, out_;
  PlaneStrides large_, small_, index_;
  int64_t batch_, channels_, size_;
};

std::unique_ptr<Kernel> makeMaxPool(WordReader& words, Specs in, Specs out) {
  const PoolWindows windows = readMaxPool(MaxPoolParams::read(words), in, out);
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
