// The largest element of each of a row of windows and its position; included once per instruction-set level.
#include "max_pool_larger_loops.h"

/// Calls `visit` with where each element of a window lies from its first one on, in memory and in the plane.
template <typename Visit>
HEDDLE_INLINE void eachElement(WindowElements window, Visit&& visit) {
  for (int64_t i = 0; i < window.count[0]; i++)
    for (int64_t j = 0; j < window.count[1]; j++) {
      int64_t offset = i * window.step[0] + j * window.step[1];
      int64_t position = i * window.positionStep[0] + j * window.positionStep[1];
      for (int64_t k = 0; k < window.count[2]; k++) {
        visit(offset, static_cast<int32_t>(position));
        offset += window.step[2];
        position += window.positionStep[2];
      }
    }
}

/// The windows of some vectors, side by side, so that one is compared while another waits for its last comparison.
/// `loadFrom` loads the elements at one place of a vector's windows.
template <int kVectors, typename T, typename Load>
HEDDLE_INLINE void largestOf(Load&& loadFrom, const T* x, const WindowElements& window, FloatVector* best,
                             IntVector* at) {
  constexpr int64_t apart = kLanes<T>;
  for (int64_t v = 0; v < kVectors; v++) {
    best[v] = loadFrom(x + v * apart);
    at[v] = IntVector{};
  }
  eachElement(
      window, [&](int64_t offset, int32_t position) __attribute__((always_inline)) {
        for (int64_t v = 0; v < kVectors; v++)
          keepLarger(loadFrom(x + v * apart + offset), broadcast<IntVector>(position), best[v], at[v]);
      });
}

/// As many of `count` windows side by side as vectors can take; returns how many.
template <typename T>
HEDDLE_INLINE int64_t largestVectors(const T* x, int32_t position, const WindowElements& window, int32_t step,
                                     int64_t count, T* y, int32_t* index) {
  constexpr int64_t lanes = kLanes<T>, together = 4;
  if (count < lanes) return 0;
  IntVector positions;
  for (int64_t lane = 0; lane < lanes; lane++) positions[lane] = position + static_cast<int32_t>(lane) * step;
  const auto loadFrom = [](const T* from) __attribute__((always_inline)) { return loadVector(from); };
  FloatVector best[together];
  IntVector at[together];
  for (int64_t first = 0; first < count;) {
    const bool all = first + together * lanes <= count;
    // The last vector may lie over the one before.
    const int64_t from = all || first + lanes <= count ? first : count - lanes;
    if (all)
      largestOf<together>(loadFrom, x + from, window, best, at);
    else
      largestOf<1>(loadFrom, x + from, window, best, at);
    first += (all ? together : 1) * lanes;
    for (int64_t v = 0; v < (all ? together : 1); v++) {
      const int64_t j = from + v * lanes;
      at[v] += positions + static_cast<int32_t>(j) * step;
      storeVector(y + j, best[v]);
      __builtin_memcpy(index + j, &at[v], sizeof at[v]);
    }
  }
  return count;
}

/// `count` windows of elements, each `stride` behind the one before; the first starts at `position`, others `step` on.
/// Of equal elements the first is taken; NaN wins, and the last of several.
template <typename T>
void takeLargest(const T* x, int32_t position, const WindowElements& window, int64_t stride, int32_t step,
                 int64_t count, T* y, int64_t strideY, int32_t* index, int64_t strideIndex) {
  typedef Compute<T> C;
  int64_t j = 0;
  if constexpr (std::is_same_v<C, float>) {
    if (stride == 1 && strideY == 1 && strideIndex == 1) j = largestVectors(x, position, window, step, count, y, index);
  }
  for (; j < count; j++) {
    const T* first = x + j * stride;
    C best = load(*first);
    int32_t at = 0;
    if constexpr (std::is_same_v<C, float>) {
      // All lanes alike: a selection between vectors has no branch that could be mispredicted.
      FloatVector values;
      IntVector positions;
      largestOf<1>(
          [](const T* from) __attribute__((always_inline)) { return broadcast<FloatVector>(load(*from)); }, first,
          window, &values, &positions);
      best = values[0];
      at = positions[0];
    } else {
      eachElement(
          window, [&](int64_t offset, int32_t from) __attribute__((always_inline)) {
            const C value = load(first[offset]);
            const bool larger = (value > best) | (value != value);
            best = larger ? value : best;
            at = larger ? from : at;
          });
    }
    y[j * strideY] = store<T>(best);
    index[j * strideIndex] = position + static_cast<int32_t>(j) * step + at;
  }
}
