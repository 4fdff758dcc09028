// The geometry of ops that pick elements along one axis, by an index of the operand's rank which may be smaller in the
// other axes.
#pragma once

#include <algorithm>

#include "../core/indexing_problem.h"
#include "device/divide.h"

namespace heddle::cuda {

/// Walks the elements of an index in row-major order.
template <typename Offset>
struct AxisWalk {
  static constexpr int kMostAxes = 16;  // a plan's tensors have no more
  int rank;
  int along;                           // the picked axis among those walked; -1 where the index has extent 1 there
  Divider<Offset> extents[kMostAxes];  // of the index
  Offset strides[kMostAxes];           // of the operand; 0 along the picked axis

  /// Where the element's line begins in the operand; `position` becomes its coordinate along the picked axis.
  __device__ Offset base(Offset element, Offset& position) const {
    Offset at = 0;
    position = 0;
#pragma unroll 1
    for (int axis = rank - 1; axis >= 0; axis--) {
      const Offset coordinate = split(element, extents[axis]);
      if (axis == along) position = coordinate;
      at += coordinate * strides[axis];
    }
    return at;
  }
};

/// What kernels take to know of picking along an axis.
struct AxisProblem {
  int64_t size;         // of the operand, in elements
  int64_t limit;        // the operand's extent along the axis
  int64_t stride;       // the operand's stride along it
  int64_t count;        // elements of the index
  int64_t length;       // the index's extent along the axis
  int64_t indexStride;  // the index's stride along it
  bool wide;            // offsets need 64 bits

  explicit AxisProblem(const AxisShapes& shapes) {
    const auto& [operand, index, picked] = shapes;
    size = product(operand);
    limit = operand[picked];
    stride = product(std::span(operand).subspan(picked + 1));
    count = product(index);
    length = index[picked];
    indexStride = product(std::span(index).subspan(picked + 1));
    wide = std::max(size, count) > INT32_MAX;
    int64_t step = size;
    for (size_t i = 0; i < index.size(); i++) {
      step /= std::max<int64_t>(operand[i], 1);
      if (index[i] == 1) continue;
      const int last = static_cast<int>(axes_.size()) - 1;
      if (i == picked) {
        along_ = last + 1;
        axes_.push_back({index[i], 0});
      } else if (last >= 0 && last != along_ && axes_.back().stride == step * index[i]) {
        axes_.back() = {axes_.back().extent * index[i], step};
      } else {
        axes_.push_back({index[i], step});
      }
    }
  }

  template <typename Offset>
  AxisWalk<Offset> walk() const {
    AxisWalk<Offset> walk{};
    walk.rank = static_cast<int>(axes_.size());
    walk.along = along_;
    for (size_t i = 0; i < axes_.size(); i++) {
      walk.extents[i] = Divider<Offset>(std::max<int64_t>(axes_[i].extent, 1));
      walk.strides[i] = static_cast<Offset>(axes_[i].stride);
    }
    return walk;
  }

 private:
  struct Axis {
    int64_t extent, stride;
  };
  std::vector<Axis> axes_;  // of the index, outermost first; those that run on without a gap are one
  int along_ = -1;
};

}  // namespace heddle::cuda
