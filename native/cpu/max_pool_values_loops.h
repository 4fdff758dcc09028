// The largest elements of windows without where they were; included once per instruction-set level.
#include "pool_planes_loops.h"

struct LargestOf {
  template <typename V>
  HEDDLE_INLINE V first(V value) {
    return value;
  }
  /// NaN wins.
  template <typename V>
  HEDDLE_INLINE V both(V value, V best) {
    // Written apart, as GCC knows the maximum of integers by its form.
    if constexpr (std::is_same_v<V, ByteVector> || std::is_same_v<V, SignedByteVector>)
      return value > best ? value : best;
    else
      return (value > best) | (value != value) ? value : best;
  }
  template <typename V>
  inline __attribute__((always_inline)) V window(V best, int64_t) const {
    return best;
  }
  template <typename C>
  HEDDLE_INLINE C nothing() {
    return kLowest<C>;
  }
};

template <typename T>
void largestOfPlane(const PlaneWindows& w, const T* x, int64_t first, int64_t last, Compute<T>* held, T* y) {
  poolPlane(w, x, first, last, held, y, [](int64_t) __attribute__((always_inline)) { return LargestOf{}; });
}

/// y[c]: the largest of the channel's elements, each `offsets[i]` behind `x`.
template <typename T>
void largestOfPixels(const T* x, const int64_t* offsets, int64_t count, int64_t channels, T* y) {
  poolRows<LargestOf>(x, offsets, count, channels, y);
}
