// Max pooling along rows. Rows come first, so that of equal elements the first in row-major order is the first that
// either step meets, and what a row has serves all windows that lie over it.
#include "max_pool_rows.h"

#include <omp.h>

#include <algorithm>
#include <limits>

#include "../core/element.h"
#include "kernels.h"
#include "levels.h"
#include "rounding.h"

namespace heddle {

template <typename C>
using PositionOf = std::conditional_t<std::is_same_v<C, double>, int64_t, int32_t>;

/// The windows along a row. Element t of window j lies at taps[t] + j of the row that was dealt out.
template <typename C>
struct RowWindows {
  const int64_t* taps;
  int64_t kernel;
  PositionOf<C> gap;                        // between an element's position and the next one's
  const PositionOf<C>*start, *firstOffset;  // where each begins, and how far behind its first element that counts is
  int64_t count;
};

/// The largest element of each window in one row, and its position in the plane.
template <typename C>
struct RowMaxima {
  C* best;
  PositionOf<C>* at;
};

}  // namespace heddle

#define HEDDLE_LOOPS "max_pool_rows_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

constexpr int64_t kLine = 64;

/// The elements of a window that lie in the input, along an axis that is not the row's.
struct Reach {
  int64_t first, count;
};

/// A thread's memory: the row dealt out, and a ring of rows with what was found in them.
template <typename C>
struct Scratch {
  C* row;
  C** dealt;             // where a row's first elements go
  RowMaxima<C>* ring;    // one for each row that a window may have
  int64_t* held;         // which row of the input each is of
  RowMaxima<C>* chosen;  // those of one window
};

template <typename T>
class MaxPoolRows : public Kernel {
  using C = Compute<T>;
  using Position = PositionOf<C>;
  static constexpr C kLowest = -std::numeric_limits<C>::infinity();

 public:
  static constexpr int64_t kLeastWindows = 4, kMostStride = 16, kMostBytes = int64_t{1} << 20;

  MaxPoolRows(const PoolWindows& windows, size_t row, const TensorSpec& x, const TensorSpec& y, const TensorSpec& index)
      : row_(row),
        outer_{row == 0 ? size_t{1} : size_t{0}, row == 2 ? size_t{1} : size_t{2}},
        x_(x),
        y_(y),
        index_(index),
        channels_(x.shape[1]),
        planes_(x.shape[0] * x.shape[1]),
        in_(windows.in),
        out_(windows.out),
        stride_(windows.stride[row]),
        threads_(omp_get_max_threads()) {
    for (size_t i = 0; i < 2; i++) {
      const size_t axis = outer_[i];
      gaps_[i] = windows.dilation[axis];
      spans_[i] = std::min(in_[axis], gaps_[i] * (windows.kernel[axis] - 1) + 1);
      for (int64_t p = 0; p < out_[axis]; p++) reaches_[i].push_back(reach(windows, axis, p));
      for (int64_t q = 0; q < in_[axis]; q++) places_[i].push_back(q % spans_[i]);
    }
    readRow(windows);
  }

  /// Of a thread.
  int64_t scratchBytes() const {
    return inLines(dealtLength_ * stride_ * sizeof(C)) + inLines(stride_ * sizeof(C*)) +
           slots() * ringLength_ * (sizeof(C) + sizeof(Position)) + 2 * inLines(slots() * sizeof(RowMaxima<C>)) +
           inLines(slots() * sizeof(int64_t));
  }

  size_t workspaceBytes() const override { return static_cast<size_t>(scratchBytes() * threads_); }

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* y = static_cast<T*>(operands.outputs[0]);
    auto* index = static_cast<int32_t*>(operands.outputs[1]);
    const int64_t width = out_[row_], perPlane = out_[outer_[0]] * out_[outer_[1]], rows = planes_ * perPlane;
#pragma omp parallel num_threads(threads_) if (rows * width > 4096)
    {
      const int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
      const Scratch<C> scratch = scratchAt(static_cast<char*>(operands.workspace) + thread * scratchBytes());
      // Neighbouring rows of windows share rows of the input, so a thread takes all of a part.
      for (int64_t row = rows * thread / threads, end = rows * (thread + 1) / threads; row < end;) {
        const int64_t first = row % perPlane, last = std::min(perPlane, first + end - row);
        takePlane(row / perPlane, first, last, x, y, index, scratch);
        row += last - first;
      }
    }
  }

 private:
  static int64_t inLines(int64_t bytes) { return roundUp(bytes, kLine); }
  int64_t slots() const { return spans_[0] * spans_[1]; }

  static Reach reach(const PoolWindows& w, size_t axis, int64_t p) {
    const int64_t start = p * w.stride[axis] - w.padding[axis], gap = w.dilation[axis];
    const int64_t first = start < 0 ? ceilDivide(-start, gap) : 0;
    const int64_t end = start < w.in[axis] ? std::min((w.in[axis] - 1 - start) / gap + 1, w.kernel[axis]) : 0;
    return {start + first * gap, std::max<int64_t>(end - first, 0)};
  }

  void readRow(const PoolWindows& w) {
    const int64_t kernel = w.kernel[row_], gap = w.dilation[row_], padding = w.padding[row_], width = out_[row_];
    ringLength_ = inLines(width * sizeof(C)) / sizeof(C);
    const int64_t ends = std::max((padding + in_[row_] - 1) / stride_ + 1, ringLength_ + gap * (kernel - 1) / stride_);
    dealtLength_ = inLines(ends * sizeof(C)) / sizeof(C);
    const auto place = [&](int64_t padded) { return padded % stride_ * dealtLength_ + padded / stride_; };
    for (int64_t tap = 0; tap < kernel; tap++) taps_.push_back(place(tap * gap));
    for (int64_t phase = 0; phase < stride_; phase++) dealt_.push_back(place(padding + phase));
    starts_.resize(ringLength_);
    firstOffsets_.resize(ringLength_);
    for (int64_t j = 0; j < width; j++) {
      const auto [first, count] = reach(w, row_, j);
      const int64_t start = j * stride_ - padding;
      if (count == 0) empty_.push_back(j);
      starts_[j] = static_cast<Position>(start);
      firstOffsets_[j] = static_cast<Position>(first - start);
    }
    windows_ = {taps_.data(), kernel, static_cast<Position>(gap), starts_.data(), firstOffsets_.data(), width};
  }

  Scratch<C> scratchAt(char* at) const {
    const auto take = [&](auto type, int64_t count) {
      auto* taken = reinterpret_cast<decltype(type)*>(at);
      at += inLines(count * sizeof(type));
      return taken;
    };
    Scratch<C> scratch;
    scratch.row = take(C{}, dealtLength_ * stride_);
    scratch.dealt = take(static_cast<C*>(nullptr), stride_);
    scratch.ring = take(RowMaxima<C>{}, slots());
    scratch.chosen = take(RowMaxima<C>{}, slots());
    scratch.held = take(int64_t{}, slots());
    for (int64_t i = 0; i < slots(); i++) scratch.ring[i] = {take(C{}, ringLength_), take(Position{}, ringLength_)};
    // Rows leave the padding around them as it is.
    std::fill_n(scratch.row, dealtLength_ * stride_, kLowest);
    std::fill_n(scratch.held, slots(), int64_t{-1});
    for (int64_t phase = 0; phase < stride_; phase++) scratch.dealt[phase] = scratch.row + dealt_[phase];
    return scratch;
  }

  /// Rows of windows [first, last) of a plane.
  void takePlane(int64_t plane, int64_t first, int64_t last, const T* x, T* y, int32_t* index,
                 const Scratch<C>& scratch) const {
    const auto [a, b] = outer_;
    const int64_t n = plane / channels_, c = plane % channels_;
    x += n * x_.batch + c * x_.channel;
    y += n * y_.batch + c * y_.channel;
    index += n * index_.batch + c * index_.channel;
    Extents p{};
    p[a] = first / out_[b];
    p[b] = first % out_[b];
    for (int64_t row = first; row < last; row++) {
      const int64_t rows = choose(plane, p, x, scratch);
      T* values = y + y_.at(p);
      int32_t* positions = index + index_.at(p);
      if (rows > 0) across_(scratch.chosen, rows, windows_.count, values, positions);
      for (int64_t i = 0, count = rows > 0 ? std::ssize(empty_) : windows_.count; i < count; i++)
        setEmpty(values, positions, rows > 0 ? empty_[i] : i);
      if (++p[b] < out_[b]) continue;
      p[b] = 0;
      p[a]++;
    }
  }

  /// The rows of the input that windows see; returns how many.
  int64_t choose(int64_t plane, const Extents& p, const T* x, const Scratch<C>& scratch) const {
    const auto [a, b] = outer_;
    const Reach &across = reaches_[0][p[a]], &within = reaches_[1][p[b]];
    int64_t rows = 0;
    Extents q{};
    for (int64_t i = 0; i < across.count; i++)
      for (int64_t j = 0; j < within.count; j++) {
        q[a] = across.first + i * gaps_[0];
        q[b] = within.first + j * gaps_[1];
        scratch.chosen[rows++] = maximaOf(x, plane, q, scratch);
      }
    return rows;
  }

  static void setEmpty(T* y, int32_t* index, int64_t at) {
    y[at] = store<T>(kLowest);
    index[at] = -1;
  }

  RowMaxima<C> maximaOf(const T* plane, int64_t planeNumber, const Extents& q, const Scratch<C>& scratch) const {
    const auto [a, b] = outer_;
    const int64_t slot = places_[0][q[a]] * spans_[1] + places_[1][q[b]];
    const int64_t number = (planeNumber * in_[a] + q[a]) * in_[b] + q[b];
    const RowMaxima<C>& maxima = scratch.ring[slot];
    if (scratch.held[slot] == number) return maxima;
    scratch.held[slot] = number;
    deal_(plane + x_.at(q), x_.spatial(row_), in_[row_], stride_, scratch.dealt);
    const int64_t position = (q[0] * in_[1] + q[1]) * in_[2] + q[2];
    along_(scratch.row, windows_, static_cast<Position>(position), maxima.best, maxima.at);
    return maxima;
  }

  decltype(&base::dealRow<T>) deal_ = HEDDLE_DISPATCH(dealRow<T>);
  decltype(&base::largestAlong<C>) along_ = HEDDLE_DISPATCH(largestAlong<C>);
  decltype(&base::largestAcross<T>) across_ = HEDDLE_DISPATCH(largestAcross<T>);
  size_t row_;
  std::array<size_t, 2> outer_;  // the other axes
  PlaneStrides x_, y_, index_;
  int64_t channels_, planes_;
  Extents in_, out_;
  int64_t stride_;
  int threads_;
  std::array<int64_t, 2> gaps_, spans_;  // of windows in the outer axes, spans at most the input
  std::array<std::vector<Reach>, 2> reaches_;
  std::array<std::vector<int64_t>, 2> places_;  // in the ring
  int64_t ringLength_ = 0, dealtLength_ = 0;
  std::vector<int64_t> taps_, dealt_, empty_;
  std::vector<Position> starts_, firstOffsets_;
  RowWindows<C> windows_{};
};

template <typename T>
std::unique_ptr<Kernel> make(const PoolWindows& windows, size_t row, const TensorSpec& x, const TensorSpec& y,
                             const TensorSpec& index) {
  using Rows = MaxPoolRows<T>;
  if (windows.out[row] < Rows::kLeastWindows || windows.stride[row] > Rows::kMostStride) return nullptr;
  const int64_t span = windows.dilation[row] * (windows.kernel[row] - 1) + 1;
  if (span > 2 * windows.in[row]) return nullptr;
  auto kernel = std::make_unique<Rows>(windows, row, x, y, index);
  if (kernel->scratchBytes() > Rows::kMostBytes) return nullptr;
  return kernel;
}

}  // namespace

std::unique_ptr<Kernel> makeMaxPoolRows(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y,
                                        const TensorSpec& index) {
  size_t row = 2;
  while (row > 0 && windows.in[row] == 1) row--;
  if (PlaneStrides(y).spatial(row) != 1 || PlaneStrides(index).spatial(row) != 1) return nullptr;
  switch (x.dtype) {
    case DType::f32: return make<float>(windows, row, x, y, index);
    case DType::f64: return make<double>(windows, row, x, y, index);
    case DType::bf16: return make<BFloat16>(windows, row, x, y, index);
    case DType::f16: return make<Float16>(windows, row, x, y, index);
    default: return nullptr;
  }
}

}  // namespace heddle
