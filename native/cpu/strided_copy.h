// Copies one strided tensor into another of the same shape, whatever the element.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "../core/kernel.h"
#include "stream.h"

namespace heddle {

/// Shapes and strides in elements of `bytes` bytes; the two tensors do not overlap. `wholeBytes`: of a result that this
/// is a part of.
class StridedCopy {
 public:
  StridedCopy(std::vector<int64_t> shape, std::vector<int64_t> from, std::vector<int64_t> to, int64_t bytes,
              int64_t wholeBytes = 0)
      : shape_(std::move(shape)), from_(std::move(from)), to_(std::move(to)), bytes_(bytes) {
    if (!shape_.empty()) {
      columns_ = shape_.back();
      fromStep_ = from_.back() * bytes;
      toStep_ = to_.back() * bytes;
    }
    for (size_t axis = 0; axis + 1 < shape_.size(); axis++) rows_ *= shape_[axis];
    streams_ = fromStep_ == bytes_ && toStep_ == bytes_ && columns_ * bytes_ >= kLeastStreamed &&
               std::max(rows_ * columns_ * bytes_, wholeBytes) >= kBeyondCaches;
  }

  void run(const void* from, void* to) const {
    // A row alone is divided among the threads.
    const int64_t part = rows_ == 1 ? kPart : columns_, parts = columns_ == 0 ? 0 : (columns_ + part - 1) / part;
#pragma omp parallel if (rows_ * columns_ > 32768)
    {
#pragma omp for schedule(static) nowait
      for (int64_t piece = 0; piece < rows_ * parts; piece++) {
        int64_t source = 0, target = 0, rest = piece / parts;
        const int64_t first = piece % parts * part;
        for (size_t axis = shape_.size(); axis-- > 1;) {
          const int64_t index = rest % shape_[axis - 1];
          rest /= shape_[axis - 1];
          source += index * from_[axis - 1];
          target += index * to_[axis - 1];
        }
        copyRow(static_cast<const char*>(from) + source * bytes_ + first * fromStep_,
                static_cast<char*>(to) + target * bytes_ + first * toStep_, std::min(part, columns_ - first));
      }
      if (streams_) endStreams();
    }
  }

 private:
  static constexpr int64_t kPart = 16384;

  void copyRow(const char* from, char* to, int64_t columns) const {
    if (streams_) return streamCopy(to, from, columns * bytes_);
    if (fromStep_ == bytes_ && toStep_ == bytes_) {
      std::memcpy(to, from, static_cast<size_t>(columns * bytes_));
      return;
    }
    switch (bytes_) {
      case 1: return copyElements<uint8_t>(from, to, columns);
      case 2: return copyElements<uint16_t>(from, to, columns);
      case 4: return copyElements<uint32_t>(from, to, columns);
      default: return copyElements<uint64_t>(from, to, columns);
    }
  }

  template <typename T>
  void copyElements(const char* from, char* to, int64_t columns) const {
    for (int64_t i = 0; i < columns; i++) std::memcpy(to + i * toStep_, from + i * fromStep_, sizeof(T));
  }

  std::vector<int64_t> shape_, from_, to_;
  int64_t bytes_, rows_ = 1, columns_ = 1, fromStep_ = 0, toStep_ = 0;
  bool streams_ = false;
};

}  // namespace heddle
