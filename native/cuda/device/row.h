// A row of a contiguous matrix, cut into packs.
#pragma once

#include "pack.h"
#include "scalar.h"

namespace heddle::cuda {

/// The packs of one row on the grid of the whole matrix: they lie aligned wherever the matrix does, and the first and
/// the last may reach beyond the row. Which elements share a pack follows from the shape alone, so that sums have one
/// order whether the matrix is aligned or not; one that is not is read element by element.
template <typename T, typename Index>
class RowPacks {
 public:
  static constexpr int width = kPackWidth<T>;

  /// Row `row` of rows of `size` elements; one that is not `present` holds nothing.
  __device__ RowPacks(int64_t row, Index size, bool aligned, bool present = true)
      : start_(row * size),
        size_(present ? size : 0),
        shift_(static_cast<int>(start_ % width)),
        firstDirect_(shift_ > 0 ? 1 : 0),
        endDirect_(aligned ? (size_ + shift_) / width : 0),
        direct_(endDirect_ == packs() && shift_ == 0) {}

  __device__ Index packs() const { return (size_ + shift_ + width - 1) / width; }
  /// Of the pack's first element in the row; negative where the pack begins before it.
  __device__ Index position(Index pack) const { return pack * width - shift_; }

  /// Which elements of a pack the row has: those from `begin` up to `end`.
  struct Span {
    int begin, end;
    __device__ bool holds(int i) const { return i >= begin && i < end; }
    __device__ int count() const { return end > begin ? end - begin : 0; }
  };
  __device__ Span span(Index pack) const {
    const Index at = position(pack), left = size_ - at;
    return {at < 0 ? static_cast<int>(-at) : 0, left < width ? static_cast<int>(left > 0 ? left : Index{0}) : width};
  }

  /// Packs `first`, `first + stride`, ...: their elements, `fill` where the row has none. Any pack may be asked for.
  template <int kPacks>
  __device__ void load(const T* matrix, Index first, int stride, T fill, Words (&packs)[kPacks]) const {
    read(matrix + start_, true, first, stride, fill, packs);
  }
  /// The same positions of a vector that is as long as a row; `aligned` says whether it starts aligned.
  template <int kPacks>
  __device__ void loadBeside(const T* vector, bool aligned, Index first, int stride, Words (&packs)[kPacks]) const {
    read(vector, aligned && shift_ == 0, first, stride, T{}, packs);
  }

  /// Writes those elements that the row has.
  template <int kPacks>
  __device__ void store(T* matrix, Index first, int stride, const Words (&packs)[kPacks]) const {
    T* row = matrix + start_;
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      const Index pack = first + p * stride;
      if (direct(pack)) *reinterpret_cast<Words*>(row + position(pack)) = packs[p];
    }
    if (allDirect(first, first + (kPacks - 1) * stride)) return;
#pragma unroll 1
    for (int p = 0; p < kPacks; p++) {
      const Index pack = first + p * stride, at = position(pack);
      if (direct(pack) || at >= size_) continue;
      Words words{};
#pragma unroll
      for (int other = 0; other < kPacks; other++)
        if (other == p) words = packs[other];
      const Pack<T> part = elementsOf<T>(words);
      const Span span = this->span(pack);
#pragma unroll
      for (int i = 0; i < width; i++)
        if (span.holds(i)) row[at + i] = part.element[i];
    }
  }

 private:
  template <int kPacks>
  __device__ void read(const T* row, bool aligned, Index first, int stride, T fill, Words (&packs)[kPacks]) const {
    const Words filled = repeated(fill);
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      const Index pack = first + p * stride;
      packs[p] = aligned && direct(pack) ? *reinterpret_cast<const Words*>(row + position(pack)) : filled;
    }
    if (aligned && allDirect(first, first + (kPacks - 1) * stride)) return;
      // Packs at the row's ends and unaligned ones: one copy of this code for all of a thread's.
#pragma unroll 1
    for (int p = 0; p < kPacks; p++) {
      const Index pack = first + p * stride, at = position(pack);
      if ((aligned && direct(pack)) || at >= size_) continue;
      const Span span = this->span(pack);
      Pack<T> part;
#pragma unroll
      for (int i = 0; i < width; i++) part.element[i] = span.holds(i) ? row[at + i] : fill;
      const Words words = wordsOf(part);
#pragma unroll
      for (int other = 0; other < kPacks; other++)
        if (other == p) packs[other] = words;
    }
  }

  __device__ bool direct(Index pack) const { return pack >= firstDirect_ && pack < endDirect_; }
  /// Whether packs from `first` to `last` are whole and aligned, or not the row's.
  __device__ bool allDirect(Index first, Index last) const {
    return direct_ || (first >= firstDirect_ && last < endDirect_);
  }

  int64_t start_;
  Index size_;
  int shift_;
  int firstDirect_;
  Index endDirect_;  // packs from firstDirect_ up to here are whole and aligned
  bool direct_;      // so are all
};

/// The elements of packs, one after the other, in the type to compute in.
template <typename T, int kPacks>
__device__ inline void widenAll(const Words (&packs)[kPacks], Compute<T> (&values)[kPacks * kPackWidth<T>]) {
#pragma unroll
  for (int p = 0; p < kPacks; p++) {
    const Pack<T> pack = elementsOf<T>(packs[p]);
#pragma unroll
    for (int i = 0; i < kPackWidth<T>; i++) values[p * kPackWidth<T> + i] = widen(pack.element[i]);
  }
}

/// And back, rounded.
template <typename T, int kPacks>
__device__ inline void narrowAll(const Compute<T> (&values)[kPacks * kPackWidth<T>], Words (&packs)[kPacks]) {
#pragma unroll
  for (int p = 0; p < kPacks; p++) {
    Pack<T> pack;
#pragma unroll
    for (int i = 0; i < kPackWidth<T>; i++) pack.element[i] = narrow<T>(values[p * kPackWidth<T> + i]);
    packs[p] = wordsOf(pack);
  }
}

}  // namespace heddle::cuda
