// One element of each window of a row, taken where it is larger; included once per instruction-set level.

/// A vector of windows.
template <int kStride, typename T>
HEDDLE_INLINE void takeVector(const T* x, IntVector positions, T* y, int32_t* index) {
  const FloatVector value = loadEvery<kStride>(x), best = loadVector(y);
  IntVector at;
  __builtin_memcpy(&at, index, sizeof at);
  const IntVector larger = (value > best) | (value != value) | (at < 0);
  storeVector(y, larger ? value : best);
  at = larger ? positions : at;
  __builtin_memcpy(index, &at, sizeof at);
}

/// As many of `count` windows as vectors can take; returns how many.
template <int kStride, typename T>
HEDDLE_INLINE int64_t takeVectors(const T* x, int64_t count, int32_t position, int32_t step, T* y, int32_t* index) {
  constexpr int64_t lanes = kLanes<float>;
  // The last element of a strided load is behind its last window's, and may be behind the row.
  const int64_t whole = count - (kStride - 1);
  if (whole < lanes) return 0;
  IntVector positions;
  for (int64_t i = 0; i < lanes; i++) positions[i] = position + static_cast<int32_t>(i) * step;
  for (int64_t j = 0; j < whole; j += lanes) {
    // To take an element again changes nothing, so the last vector may lie over the one before.
    const int64_t from = j + lanes <= whole ? j : whole - lanes;
    takeVector<kStride>(x + from * kStride, positions + static_cast<int32_t>(from) * step, y + from, index + from);
  }
  return whole;
}

/// `count` windows, each with the element `stride` behind the one before, at positions `step` apart: y becomes the
/// larger of both and index its position. NaN wins, and an index below 0 says that there was none before.
template <typename T>
void takeLarger(const T* x, int64_t stride, int64_t count, int32_t position, int32_t step, T* y, int64_t strideY,
                int32_t* index, int64_t strideIndex) {
  typedef Compute<T> C;
  int64_t j = 0;
  if constexpr (std::is_same_v<C, float>) {
    if (strideY == 1 && strideIndex == 1) {
      if (stride == 1) j = takeVectors<1>(x, count, position, step, y, index);
      if (stride == 2) j = takeVectors<2>(x, count, position, step, y, index);
    }
  }
  for (; j < count; j++) {
    const C value = load(x[j * stride]), best = load(y[j * strideY]);
    int32_t& at = index[j * strideIndex];
    if (!(value > best || value != value || at < 0)) continue;
    y[j * strideY] = x[j * stride];
    at = position + static_cast<int32_t>(j) * step;
  }
}
