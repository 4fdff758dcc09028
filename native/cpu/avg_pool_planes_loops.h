// The means of windows along rows; included once per instruction-set level.
#include "pool_planes_loops.h"

/// `sizes` are what the windows along a row count, `divisor` what those across it do.
template <typename C>
struct MeanOf {
  const C* sizes;
  C divisor;

  template <typename V>
  HEDDLE_INLINE V first(V value) {
    return V{} + value;
  }
  template <typename V>
  HEDDLE_INLINE V both(V value, V sum) {
    return sum + value;
  }
  inline __attribute__((always_inline)) Vector<C> window(Vector<C> sum, int64_t j) const {
    return sum / (loadVector(sizes + j) * divisor);
  }
  inline __attribute__((always_inline)) C window(C sum, int64_t j) const { return sum / (sizes[j] * divisor); }
  template <typename V>
  HEDDLE_INLINE V nothing() {
    return V{};
  }
};

template <typename T>
void meansOfPlane(const PlaneWindows& w, const T* x, int64_t first, int64_t last, Compute<T>* held, T* y,
                  const Compute<T>* sizes, const Compute<T>* divisors) {
  poolPlane(
      w, x, first, last, held,
      y, [&](int64_t row) __attribute__((always_inline)) { return MeanOf<Compute<T>>{sizes, divisors[row]}; });
}
