// Pooling along rows: a plane's rows of windows, each taken across its rows of the input into a padded row, whose
// elements lie side by side, then along that.
#pragma once

#include <omp.h>

#include <algorithm>
#include <vector>

#include "../core/pooling_problem.h"
#include "rounding.h"

namespace heddle {

/// The elements of a window along one axis that lie in the input.
struct Reach {
  int64_t first, count;
};

inline Reach reachOf(const PoolWindows& w, size_t axis, int64_t window) {
  const int64_t start = window * w.stride[axis] - w.padding[axis], gap = w.dilation[axis];
  const int64_t first = start < 0 ? ceilDivide(-start, gap) : 0;
  const int64_t end = start < w.in[axis] ? std::min((w.in[axis] - 1 - start) / gap + 1, w.kernel[axis]) : 0;
  return {start + first * gap, std::max<int64_t>(end - first, 0)};
}

/// The axis of rows: the innermost of more than one element.
inline size_t rowAxis(const PoolWindows& w) {
  size_t row = 2;
  while (row > 0 && w.in[row] == 1) row--;
  return row;
}

/// A plane's rows of windows, and the windows along each, as loops take them.
struct PlaneWindows {
  const int64_t *begins, *offsets;  // of each row of windows: which rows of the input it sees, and where these are
  const int64_t* results;           // where it goes
  int64_t in, front, length;        // a row of the input, what is before it in the padded row, and all of that
  int64_t padding, kernel, gap, stride, count;
  int64_t together;  // padded rows that are held at a time
};

class PlaneRows {
 public:
  /// Elements are held in `bytes` each.
  PlaneRows(const PoolWindows& w, const TensorSpec& x, const TensorSpec& y, int64_t bytes)
      : x_(x),
        y_(y),
        channels_(x.shape[1]),
        planes_(x.shape[0] * x.shape[1]),
        rows_(volume(w.out) / std::max<int64_t>(w.out[rowAxis(w)], 1)),
        threads_(omp_get_max_threads()) {
    const size_t row = rowAxis(w);
    findRows(w, row);
    const int64_t line = kLine / bytes;
    // The input's rows begin a line, and behind the padding is what the vectors of the last windows reach beside them.
    const int64_t front = roundUp(w.padding[row], line);
    const int64_t length = roundUp(front - w.padding[row] + spanOf(w, row) + kMostVectors * line, line);
    windows_ = {begins_.data(),  offsets_.data(),
                results_.data(), w.in[row],
                front,           length,
                w.padding[row],  w.kernel[row],
                w.dilation[row], w.stride[row],
                w.out[row],      std::clamp<int64_t>(kHeldBytes / (length * bytes), 1, std::max<int64_t>(rows_, 1))};
  }

  /// Whether rows lie side by side, are padded to few times their length, and hold results at all.
  static bool suit(const PoolWindows& w, const TensorSpec& x, const TensorSpec& y) {
    const PlaneStrides from(x), to(y);
    const size_t row = rowAxis(w);
    const bool last = x.shape[1] > 1 && from.channel == 1 && to.channel == 1;
    return !last && from.spatial(row) == 1 && (to.spatial(row) == 1 || w.out[row] == 1) && volume(w.out) > 0 &&
           spanOf(w, row) <= kMostPadded * w.in[row];
  }

  const PlaneWindows& windows() const { return windows_; }
  /// Elements that a thread holds.
  int64_t held() const { return windows_.length * windows_.together; }
  int threads() const { return threads_; }

  /// Calls `take(x, y, first, last, held)` in each thread with its planes and rows of windows, and with its part of the
  /// workspace, full of `padding`.
  template <typename T, typename C, typename Take>
  void each(const T* x, T* y, void* workspace, C padding, Take&& take) const {
    const int64_t all = planes_ * rows_;
#pragma omp parallel num_threads(threads_) if (all * windows_.count > 4096)
    {
      const int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
      C* const held = static_cast<C*>(workspace) + thread * this->held();
      std::fill_n(held, this->held(), padding);
      for (int64_t at = all * thread / threads, end = all * (thread + 1) / threads; at < end;) {
        const int64_t plane = at / rows_, first = at % rows_, last = std::min(rows_, first + end - at);
        const int64_t n = plane / channels_, c = plane % channels_;
        take(x + n * x_.batch + c * x_.channel, y + n * y_.batch + c * y_.channel, first, last, held);
        at += last - first;
      }
    }
  }

 private:
  static constexpr int64_t kLine = 64;
  /// Held rows stay in the nearest cache, beside the rows they are made from.
  static constexpr int64_t kHeldBytes = 8192;
  static constexpr int64_t kMostPadded = 16;
  /// A vector of results is read from so many, at most.
  static constexpr int64_t kMostVectors = 3;

  static int64_t spanOf(const PoolWindows& w, size_t row) {
    return std::max(w.padding[row] + w.in[row],
                    (w.out[row] - 1) * w.stride[row] + w.dilation[row] * (w.kernel[row] - 1) + 1);
  }

  void findRows(const PoolWindows& w, size_t row) {
    const size_t a = row == 0 ? 1 : 0, b = row == 2 ? 1 : 2;
    begins_.push_back(0);
    Extents p{}, q{};
    for (p[a] = 0; p[a] < w.out[a]; p[a]++)
      for (p[b] = 0; p[b] < w.out[b]; p[b]++) {
        const Reach across = reachOf(w, a, p[a]), within = reachOf(w, b, p[b]);
        for (int64_t i = 0; i < across.count; i++)
          for (int64_t j = 0; j < within.count; j++) {
            q[a] = across.first + i * w.dilation[a];
            q[b] = within.first + j * w.dilation[b];
            offsets_.push_back(x_.at(q));
          }
        begins_.push_back(std::ssize(offsets_));
        results_.push_back(y_.at(p));
      }
  }

  PlaneStrides x_, y_;
  int64_t channels_, planes_, rows_;  // rows of windows in a plane
  int threads_;
  std::vector<int64_t> begins_, offsets_, results_;
  PlaneWindows windows_{};
};

}  // namespace heddle
