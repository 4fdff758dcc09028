// Rows of softmax, log-softmax, their gradients and cross-entropy; included once per instruction-set level.

/// The largest element and the sum of exp(x - largest), each of which `keep(j, value, count)` gets. A row with NaN has
/// NaN as its sum.
template <typename T, typename Keep>
HEDDLE_INLINE void rowStatistics(const T* x, int64_t size, Compute<T>& highest, Compute<T>& sum, Keep&& keep) {
  typedef Compute<T> C;
  const C lowest = -std::numeric_limits<C>::infinity();
  Vector<T> most = broadcast<Vector<T>>(lowest);
  eachVector<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        fetchPageAhead(x + j);
        const Vector<T> value = fillBehind<T>(loadSome(x + j, count), count, lowest);
        most = most < value ? value : most;
      });
  const C top = maxLanes<C>(most);
  sum = sumRow<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        const Vector<T> value = expNegative(loadSome(x + j, count) - top);
        keep(j, value, count);
        return fillBehind<T>(value, count, C{0});
      });
  highest = top;
}
template <typename T>
HEDDLE_INLINE void rowStatistics(const T* x, int64_t size, Compute<T>& highest, Compute<T>& sum) {
  rowStatistics(x, size, highest, sum, [](int64_t, Vector<T>, int64_t) __attribute__((always_inline)){});
}

template <typename T>
void softmaxRow(const T* x, T* y, int64_t size) {
  Compute<T> highest, sum;
  if constexpr (std::is_same_v<T, Compute<T>>) {
    // The results' memory holds the exponentials, which are the dearest part. (It may be that of x, which is read
    // before.)
    rowStatistics(
        x, size, highest, sum, [&](int64_t j, Vector<T> value, int64_t count) __attribute__((always_inline)) {
          storeSome(y + j, value, count);
        });
    const T factor = 1 / sum;
    eachVector<T>(
        size, [&](int64_t j, int64_t count)
                  __attribute__((always_inline)) { storeSome(y + j, loadSome(y + j, count) * factor, count); });
  } else {
    rowStatistics(x, size, highest, sum);
    const Compute<T> factor = 1 / sum;
    eachVector<T>(
        size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
          storeSome(y + j, expNegative(loadSome(x + j, count) - highest) * factor, count);
        });
  }
}

template <typename T>
void logSoftmaxRow(const T* x, T* y, int64_t size) {
  Compute<T> highest, sum;
  rowStatistics(x, size, highest, sum);
  const Compute<T> logSum = std::log(sum);
  eachVector<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        storeSome(y + j, (loadSome(x + j, count) - highest) - logSum, count);
      });
}

template <typename T>
void softmaxGradRow(const T* y, const T* dy, T* dx, int64_t size) {
  const Compute<T> sum = sumRow<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        fetchPageAhead(y + j);
        fetchPageAhead(dy + j);
        return loadSome(y + j, count) * loadSome(dy + j, count);
      });
  eachVector<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        storeSome(dx + j, loadSome(y + j, count) * (loadSome(dy + j, count) - sum), count);
      });
}

template <typename T>
void logSoftmaxGradRow(const T* y, const T* dy, T* dx, int64_t size) {
  const Compute<T> sum = sumRow<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        fetchPageAhead(y + j);
        fetchPageAhead(dy + j);
        return loadSome(dy + j, count);
      });
  eachVector<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        storeSome(dx + j, loadSome(dy + j, count) - expNegative(loadSome(y + j, count)) * sum, count);
      });
}

/// loss = (1 - s) (lse - x[target]) + s (lse - mean x), the cross-entropy with a target smoothed by s.
template <typename T>
void crossEntropyRow(const T* x, int64_t size, int64_t target, Compute<T> smoothing, Compute<T>* loss,
                     Compute<T>* logSumExp) {
  typedef Compute<T> C;
  C highest, sum;
  rowStatistics(x, size, highest, sum);
  const C logSum = std::log(sum);
  *logSumExp = highest + logSum;
  if (target < 0) {
    *loss = 0;
    return;
  }
  // Differences to the largest element keep the digits that lse - x would lose where both are large.
  C value = logSum - (load(x[target]) - highest);
  if (smoothing != 0) {
    const C mean =
        sumRow<T>(
            size, [&](int64_t j, int64_t count) __attribute__((
                      always_inline)) { return fillBehind<T>(loadSome(x + j, count) - highest, count, C{0}); }) /
        static_cast<C>(size);
    value = (1 - smoothing) * value + smoothing * (logSum - mean);
  }
  *loss = value;
}

template <typename T>
void crossEntropyGradRow(const T* x, int64_t size, int64_t target, Compute<T> smoothing, Compute<T> logSumExp,
                         Compute<T> dloss, T* dx) {
  typedef Compute<T> C;
  if (target < 0) {
    for (int64_t j = 0; j < size; j++) dx[j] = store<T>(C{0});
    return;
  }
  const C even = smoothing / static_cast<C>(size);
  eachVector<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        fetchPageAhead(x + j);
        storeSome(dx + j, (expNegative(loadSome(x + j, count) - logSumExp) - even) * dloss, count);
      });
  const C probability = expNegative(broadcast<Vector<T>>(load(x[target]) - logSumExp))[0];
  dx[target] = store<T>((probability - even - (1 - smoothing)) * dloss);
}
