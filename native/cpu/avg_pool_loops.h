// Rows of windows' sums, across their elements and along the row; included once per instruction-set level.

/// sums[j] += scale x[j step].
template <typename T>
void addScaled(const T* x, int64_t step, Compute<T> scale, int64_t count, Compute<T>* sums) {
  int64_t j = 0;
  if (step == 1)
    for (; j + kLanes<T> <= count; j += kLanes<T>)
      storeVector(sums + j, loadVector(sums + j) + loadVector(x + j) * scale);
  for (; j < count; j++) sums[j] += load(x[j * step]) * scale;
}

/// to[j step] = values[j] / divisor.
template <typename T>
void storeQuotients(const Compute<T>* values, Compute<T> divisor, int64_t count, T* to, int64_t step) {
  int64_t j = 0;
  if (step == 1)
    j = eachWholeVector<T>(
        count, [&](int64_t at)
                   __attribute__((always_inline)) { storeVector(to + at, loadVector(values + at) / divisor); });
  for (; j < count; j++) to[j * step] = store<T>(values[j] / divisor);
}

/// The row is readable for kStride vectors behind its end.
template <int kStride, typename T>
HEDDLE_INLINE int64_t meanVectors(const Compute<T>* row, int64_t kernel, Compute<T> divisor, const Compute<T>* sizes,
                                  int64_t count, T* to) {
  return eachWholeVector<T>(
      count, [&](int64_t j) __attribute__((always_inline)) {
        Vector<T> sum = {};
        for (int64_t k = 0; k < kernel; k++) sum += loadEvery<kStride>(row + j * kStride + k);
        storeVector(to + j, sum / (loadVector(sizes + j) * divisor));
      });
}

/// to[j step]: the sum of the `kernel` elements from row[j stride] on, over divisor sizes[j].
template <typename T>
void storeMeans(const Compute<T>* row, int64_t kernel, int64_t stride, Compute<T> divisor, const Compute<T>* sizes,
                int64_t count, T* to, int64_t step) {
  typedef Compute<T> C;
  int64_t j = 0;
  if (step == 1 && stride == 1) j = meanVectors<1>(row, kernel, divisor, sizes, count, to);
  if (step == 1 && stride == 2) j = meanVectors<2>(row, kernel, divisor, sizes, count, to);
  if (step == 1 && stride == 3) j = meanVectors<3>(row, kernel, divisor, sizes, count, to);
  for (; j < count; j++) {
    const C* window = row + j * stride;
    C sum = 0;
    if (kernel < 2 * kLanes<C>)
      for (int64_t k = 0; k < kernel; k++) sum += window[k];
    else
      sum = sumRow<C>(
          kernel, [&](int64_t k, int64_t some) __attribute__((always_inline)) { return loadSome(window + k, some); });
    to[j * step] = store<T>(sum / (sizes[j] * divisor));
  }
}

/// The transpose of those sums for `count` windows: element i stride + phase of the result lies in the windows i, i -
/// 1,
/// ... as far as they reach it. The row is readable in front for as many windows.
template <typename C>
void spreadRow(const C* row, int64_t kernel, int64_t stride, int64_t count, C* to) {
  if (stride == 1 && count >= kLanes<C>) {
    eachWholeVector<C>(
        count, [&](int64_t i) __attribute__((always_inline)) {
          Vector<C> sum = {};
          for (int64_t back = 0; back < kernel; back++) sum += loadVector(row + i - back);
          storeVector(to + i, sum);
        });
    return;
  }
  for (int64_t phase = 0; phase < stride; phase++) {
    for (int64_t i = 0; i < count; i++) to[i * stride + phase] = phase < kernel ? row[i] : 0;
    for (int64_t back = 1; back * stride + phase < kernel; back++)
      for (int64_t i = 0; i < count; i++) to[i * stride + phase] += row[i - back];
  }
}
