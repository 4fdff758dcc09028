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
    if constexpr (std::is_arithmetic_v<V>) {
      return (value > best) | (value != value) ? value : best;
    } else {
      // The processor's own maximum, which is `best` where either is NaN. All bits set are a NaN too.
      const V larger = value > best ? value : best;
      if constexpr (sizeof(value[0]) == 1) return larger;
      typedef decltype(value != value) Bits;
      return (V)((Bits)larger | (value != value));
    }
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
