// What the pooling kernels share: windows, strides and the walk over results. Kernels of our own and not cuDNN's: they
// are bound by memory all the same, keep the CPU's rules for NaN and ties, take every dtype and say where a maximum
// was.
#pragma once

#include "../core/pooling.h"
#include "device/divide.h"
#include "device/pack.h"
#include "device/scalar.h"
#include "launch.h"

namespace heddle::cuda {

/// A position in a plane of up to three axes.
struct PlanePosition {
  int at[3];
};

/// The windows' numbers in 32 bits.
struct Windows {
  int in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  Divider<uint32_t> perStride[3];

  __device__ int flat(const PlanePosition& q) const { return (q.at[0] * in[1] + q.at[1]) * in[2] + q.at[2]; }

  /// Calls `visit` with each input position of the window at `p`, in row-major order.
  template <typename Visit>
  __device__ void eachInput(const PlanePosition& p, Visit visit) const {
    PlanePosition start;
#pragma unroll
    for (int i = 0; i < 3; i++) start.at[i] = p.at[i] * stride[i] - padding[i];
    const auto inside = [&](int i, int at) { return static_cast<unsigned>(at) < static_cast<unsigned>(in[i]); };
    for (int a = 0, q0 = start.at[0]; a < kernel[0]; a++, q0 += dilation[0]) {
      if (!inside(0, q0)) continue;
      for (int b = 0, q1 = start.at[1]; b < kernel[1]; b++, q1 += dilation[1]) {
        if (!inside(1, q1)) continue;
        for (int c = 0, q2 = start.at[2]; c < kernel[2]; c++, q2 += dilation[2])
          if (inside(2, q2)) visit(PlanePosition{{q0, q1, q2}});
      }
    }
  }

  /// Calls `visit` with each window that reaches the input position `q`, and with gaps with some that step over it, in
  /// row-major order.
  template <typename Visit>
  __device__ void eachWindow(const PlanePosition& q, Visit visit) const {
    int first[3], last[3];
#pragma unroll
    for (int i = 0; i < 3; i++) {
      const int end = q.at[i] + padding[i], begin = end - dilation[i] * (kernel[i] - 1);
      first[i] = begin <= 0 ? 0 : static_cast<int>(perStride[i].quotient(static_cast<uint32_t>(begin + stride[i] - 1)));
      last[i] = min(static_cast<int>(perStride[i].quotient(static_cast<uint32_t>(end))), out[i] - 1);
    }
    for (int p0 = first[0]; p0 <= last[0]; p0++)
      for (int p1 = first[1]; p1 <= last[1]; p1++)
        for (int p2 = first[2]; p2 <= last[2]; p2++) visit(PlanePosition{{p0, p1, p2}});
  }
};

/// The strides of a [N,C,spatial...] operand, in elements.
struct PoolStrides {
  int64_t batch, channel;
  int spatial[3];

  __device__ int64_t at(const PlanePosition& p) const {
    return int64_t{p.at[0]} * spatial[0] + int64_t{p.at[1]} * spatial[1] + int64_t{p.at[2]} * spatial[2];
  }
  __device__ int64_t plane(int64_t image, int64_t first) const { return image * batch + first * channel; }
};

/// Where a task's first element is.
struct PoolPlace {
  int64_t image;
  int channel;
  PlanePosition position;
};

/// Tasks in the order of the result's memory; each is `width` channels of one position.
struct PoolTasks {
  bool together;  // channels are innermost
  int width;
  uint32_t count;
  int64_t firstImage;
  Divider<uint32_t> perImage, inner, rows, columns;

  __device__ PoolPlace at(uint32_t task) const {
    uint32_t rest = task;
    const uint32_t place = split(rest, perImage);
    PoolPlace result{firstImage + rest, 0, {}};
    rest = place;
    uint32_t position = split(rest, inner);
    if (together) {
      result.channel = static_cast<int>(position) * width;
      position = rest;
    } else {
      result.channel = static_cast<int>(rest);
    }
    result.position.at[2] = static_cast<int>(split(position, columns));
    result.position.at[1] = static_cast<int>(split(position, rows));
    result.position.at[0] = static_cast<int>(position);
    return result;
  }
};

/// A pooling problem as kernels take it.
class PoolProblem {
 public:
  const Windows windows;

  /// Results are of the shape of `result`; `operands` are all that is walked beside it, each with the bytes of its
  /// elements. Throws Error unsupported for sizes beyond 32 bits within one image.
  PoolProblem(const char* op, const PoolWindows& given, const TensorSpec& result,
              std::initializer_list<const TensorSpec*> operands);

  PoolStrides strides(const TensorSpec& spec) const;

  /// Whether `width` channels lie together in every operand, at multiples of their size.
  bool packs(int width) const { return channelsLast_ && channels_ % width == 0 && common_ % width == 0; }

  /// Calls `queue(tasks, grid)` for parts of the batch, for tasks of `width` channels and blocks of 256 threads.
  template <typename Queue>
  void eachPart(int width, Queue queue) const {
    const int64_t perImage = plane_ * channels_ / width;
    if (perImage == 0) return;
    const int64_t images = std::max<int64_t>(INT32_MAX / perImage, 1);
    for (int64_t first = 0; first < batch_; first += images) {
      const int64_t count = std::min(images, batch_ - first) * perImage;
      PoolTasks tasks{together_,
                      width,
                      static_cast<uint32_t>(count),
                      first,
                      Divider<uint32_t>(perImage),
                      Divider<uint32_t>(together_ ? channels_ / width : plane_),
                      Divider<uint32_t>(extents_[1]),
                      Divider<uint32_t>(extents_[2])};
      queue(tasks, gridFor(count, 256));
    }
  }

 private:
  int64_t batch_, channels_, plane_;
  int64_t common_ = 0;  // divides every stride but the channels'
  Extents extents_;     // of the result
  bool together_, channelsLast_ = true;
};

}  // namespace heddle::cuda
