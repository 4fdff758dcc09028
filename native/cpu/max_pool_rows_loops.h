// The largest element of each of a row's windows, and of several rows; included once per instruction-set level.
#include "max_pool_larger_loops.h"

/// Positions as wide as elements.
template <typename C>
using PositionVector = decltype(Vector<C>{} > Vector<C>{});

template <typename C>
HEDDLE_INLINE PositionVector<C> loadPositions(const PositionOf<C>* from) {
  PositionVector<C> positions;
  __builtin_memcpy(&positions, from, sizeof positions);
  return positions;
}
template <typename V>
HEDDLE_INLINE void storePositions(void* to, V positions) {
  __builtin_memcpy(to, &positions, sizeof positions);
}

HEDDLE_INLINE IntVector indexOf(IntVector positions) { return positions; }
HEDDLE_INLINE HalfIntVector indexOf(LongVector positions) { return __builtin_convertvector(positions, HalfIntVector); }

template <int kStride, typename T, size_t... kPhase>
HEDDLE_INLINE int64_t dealVectors(const T* row, int64_t count, Compute<T>* const* to, std::index_sequence<kPhase...>) {
  return eachWholeVector<T>(
      count, [&](int64_t i) __attribute__((always_inline)) {
        const Vector<T> values[] = {loadEvery<kStride, kPhase>(row + i * kStride)...};
        (storeVector(to[kPhase] + i, values[kPhase]), ...);
      });
}

/// Element i of the row becomes element i / stride of to[i % stride], so that neighbouring windows' lie side by side.
template <typename T>
void dealRow(const T* row, int64_t step, int64_t size, int64_t stride, Compute<T>* const* to) {
  int64_t done = 0;
  if (step == 1 && stride == 1) done = dealVectors<1>(row, size, to, std::make_index_sequence<1>());
  if (step == 1 && stride == 2) done = dealVectors<2>(row, size / 2, to, std::make_index_sequence<2>());
  if (step == 1 && stride == 3) done = dealVectors<3>(row, size / 3, to, std::make_index_sequence<3>());
  for (int64_t at = done, i = done * stride; i < size; at++)
    for (int64_t phase = 0; phase < stride && i < size; phase++, i++) to[phase][at] = load(row[i * step]);
}

/// kKernel: of how many elements windows are, 0 where only `windows` says.
template <int kKernel, typename C>
HEDDLE_INLINE void largestOfTaps(const C* row, const RowWindows<C>& windows, PositionOf<C> rowPosition, C* best,
                                 PositionOf<C>* at) {
  const int64_t kernel = kKernel == 0 ? windows.kernel : kKernel;
  const PositionVector<C> position = broadcast<PositionVector<C>>(rowPosition);
  for (int64_t j = 0; j < windows.count; j += kLanes<C>) {
    Vector<C> largest = loadVector(row + windows.taps[0] + j);
    PositionVector<C> offset = {}, where = loadPositions<C>(windows.firstOffset + j);
    for (int64_t tap = 1; tap < kernel; tap++) {
      offset += windows.gap;
      keepLarger(loadVector(row + windows.taps[tap] + j), offset, largest, where);
    }
    storeVector(best + j, largest);
    storePositions(at + j, where + loadPositions<C>(windows.start + j) + position);
  }
}

/// Of each window of one row the largest element and its position. Memory is there for whole vectors of windows.
template <typename C>
void largestAlong(const C* row, const RowWindows<C>& windows, PositionOf<C> rowPosition, C* best, PositionOf<C>* at) {
  switch (windows.kernel) {
    case 2: return largestOfTaps<2>(row, windows, rowPosition, best, at);
    case 3: return largestOfTaps<3>(row, windows, rowPosition, best, at);
    default: return largestOfTaps<0>(row, windows, rowPosition, best, at);
  }
}

/// Of each window the largest of what several rows have.
template <typename T>
void largestAcross(const RowMaxima<Compute<T>>* rows, int64_t count, int64_t windows, T* y, int32_t* index) {
  typedef Compute<T> C;
  const auto across = [&](int64_t j, Vector<C> & best, PositionVector<C> & at) __attribute__((always_inline)) {
    best = loadVector(rows[0].best + j);
    at = loadPositions<C>(rows[0].at + j);
    for (int64_t i = 1; i < count; i++)
      keepLarger(loadVector(rows[i].best + j), loadPositions<C>(rows[i].at + j), best, at);
  };
  Vector<C> best;
  PositionVector<C> at;
  const int64_t done = eachWholeVector<C>(
      windows, [&](int64_t j) __attribute__((always_inline)) {
        across(j, best, at);
        storeVector(y + j, best);
        storePositions(index + j, indexOf(at));
      });
  if (done == windows) return;
  across(0, best, at);
  const auto narrow = indexOf(at);
  storePart(y, best, windows);
  __builtin_memcpy(index, &narrow, static_cast<size_t>(windows) * sizeof(int32_t));
}
