// Bound by memory: every element is read and written once. Where the fastest axes differ, squares of 32 by 32 turn
// round in shared memory, so that both sides are walked along their own.
#include "conv_reorder.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "../core/check.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

constexpr int kAxes = 5;
constexpr int kSide = 32;
constexpr int kThreads = 256;

/// By axis, the fastest of `to` last; in squares, the fastest of `from` before it.
struct Box {
  int64_t extents[kAxes], toStrides[kAxes];
  int64_t fromExtents[kAxes], fromStrides[kAxes], shifts[kAxes];
};

/// Adds one axis of an index of `to` to both offsets; false outside of `from`.
__device__ inline bool step(const Box& box, int axis, int64_t index, int64_t& from, int64_t& to) {
  const int64_t source = index + box.shifts[axis];
  from += source * box.fromStrides[axis];
  to += index * box.toStrides[axis];
  return source >= 0 && source < box.fromExtents[axis];
}

template <typename T>
__global__ void copyLines(const T* from, T* to, const __grid_constant__ Box box, int64_t elements) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
    int64_t rest = i, source = 0, target = 0;
    bool inside = true;
#pragma unroll
    for (int axis = kAxes - 1; axis >= 0; axis--) {
      inside &= step(box, axis, rest % box.extents[axis], source, target);
      rest /= box.extents[axis];
    }
    to[target] = inside ? from[source] : T(0);
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    turnSquares(const T* from, T* to, const __grid_constant__ Box box, int64_t squares) {
  __shared__ T square[kSide][kSide + 1];
  const int across = threadIdx.x % kSide, down = threadIdx.x / kSide;
  const int64_t acrossSquares = (box.extents[4] + kSide - 1) / kSide,
                downSquares = (box.extents[3] + kSide - 1) / kSide;
  for (int64_t i = blockIdx.x; i < squares; i += gridDim.x) {
    const int64_t fast = i % acrossSquares * kSide, slow = i / acrossSquares % downSquares * kSide;
    int64_t rest = i / acrossSquares / downSquares, source = 0, target = 0;
    bool inside = true;
#pragma unroll
    for (int axis = 2; axis >= 0; axis--) {
      inside &= step(box, axis, rest % box.extents[axis], source, target);
      rest /= box.extents[axis];
    }
#pragma unroll
    for (int part = 0; part < kSide; part += kThreads / kSide) {
      int64_t element = source, unused = 0;
      const bool here =
          inside & step(box, 3, slow + across, element, unused) & step(box, 4, fast + down + part, element, unused);
      square[down + part][across] = here ? from[element] : T(0);
    }
    __syncthreads();
#pragma unroll
    for (int part = 0; part < kSide; part += kThreads / kSide) {
      const int64_t fastIndex = fast + across, slowIndex = slow + down + part;
      if (fastIndex < box.extents[4] && slowIndex < box.extents[3])
        to[target + slowIndex * box.toStrides[3] + fastIndex * box.toStrides[4]] = square[across][down + part];
    }
    __syncthreads();
  }
}

/// The axis of more than one element with the smallest stride; none where there is no such axis.
int fastest(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  int found = -1;
  for (int axis = 0; axis < static_cast<int>(shape.size()); axis++) {
    const auto at = static_cast<size_t>(axis);
    if (shape[at] > 1 && (found < 0 || std::abs(strides[at]) < std::abs(strides[static_cast<size_t>(found)])))
      found = axis;
  }
  return found;
}

template <typename T>
void queue(const void* from, void* to, const Box& box, bool turned) {
  int64_t elements = 1;
  for (const int64_t extent : box.extents) elements *= extent;
  const auto* source = static_cast<const T*>(from);
  auto* target = static_cast<T*>(to);
  if (!turned) {
    launch("reorder", copyLines<T>, gridFor(elements, kThreads), kThreads, 0, source, target, box, elements);
    return;
  }
  const auto squaresAlong = [&](int axis) { return (box.extents[axis] + kSide - 1) / kSide; };
  const int64_t squares = box.extents[0] * box.extents[1] * box.extents[2] * squaresAlong(3) * squaresAlong(4);
  launch("reorder", turnSquares<T>, gridFor(squares, 1), kThreads, 0, source, target, box, squares);
}

}  // namespace

void queueReorder(DType dtype, const void* from, const std::vector<int64_t>& fromShape,
                  const std::vector<int64_t>& fromStrides, void* to, const std::vector<int64_t>& toShape,
                  const std::vector<int64_t>& toStrides, const std::vector<int64_t>& shift) {
  const int last = fastest(toShape, toStrides), source = fastest(fromShape, fromStrides);
  const bool turned = last >= 0 && source >= 0 && source != last && toShape[static_cast<size_t>(source)] > 1;
  // The axes of `to` from its slowest to its fastest, with the source's fastest moved before the last.
  std::vector<int> order(toShape.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const auto rank = [&](int axis) { return axis == last ? 2 : turned && axis == source ? 1 : 0; };
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    return std::abs(toStrides[static_cast<size_t>(a)]) > std::abs(toStrides[static_cast<size_t>(b)]);
  });
  Box box{};
  const size_t missing = kAxes - order.size();
  for (size_t i = 0; i < kAxes; i++) {
    if (i < missing) {
      box.extents[i] = box.fromExtents[i] = 1;
      continue;
    }
    const auto axis = static_cast<size_t>(order[i - missing]);
    box.extents[i] = toShape[axis];
    box.toStrides[i] = toStrides[axis];
    box.fromExtents[i] = fromShape[axis];
    box.fromStrides[i] = fromStrides[axis];
    box.shifts[i] = shift[axis];
  }
  switch (bytesOf(dtype)) {
    case 2: return queue<uint16_t>(from, to, box, turned);
    case 4: return queue<uint32_t>(from, to, box, turned);
    default: return queue<uint64_t>(from, to, box, turned);
  }
}

}  // namespace heddle::cuda
