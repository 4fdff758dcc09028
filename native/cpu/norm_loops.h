// Rows of layer norm and RMS norm and their gradients; included once per instruction-set level.

/// Rows of up to so many bytes leave room in the first-level cache for the next one.
constexpr int64_t kMostAhead = 8192;

/// y = (x - mean) rstd gamma + beta; without centring mean and beta are zero.
template <typename T, bool kCentred>
void normRow(const T* x, const T* gamma, const T* beta, T* y, Compute<T>* mean, Compute<T>* rstd, int64_t size,
             Compute<T> eps) {
  typedef Compute<T> C;
  // A row is read from memory while the one before it is computed, and what it will write is fetched before that.
  const int64_t ahead = size * static_cast<int64_t>(sizeof(T)) <= kMostAhead ? size : 0;
  C middle = 0;
  if constexpr (kCentred) {
    middle =
        sumRow<T, 4>(
            size, [&](int64_t j, int64_t count) __attribute__((always_inline)) { return loadSome(x + j, count); }) /
        static_cast<C>(size);
    *mean = middle;
  }
  const C variance = sumRow<T, 4>(
                         size,
                         [&](int64_t j, int64_t count) __attribute__((always_inline)) {
                           // (Behind the last row a prefetch is ignored.)
                           __builtin_prefetch(x + ahead + j);
                           __builtin_prefetch(y + j, 1);
                           const Vector<T> d = fillBehind<T>(loadSome(x + j, count) - middle, count, C{0});
                           return d * d;
                         }) /
                     static_cast<C>(size);
  const C scale = 1 / std::sqrt(variance + eps);
  *rstd = scale;
  eachVector<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        Vector<T> value = (loadSome(x + j, count) - middle) * scale * loadSome(gamma + j, count);
        if constexpr (kCentred) value += loadSome(beta + j, count);
        storeSome(y + j, value, count);
      });
}

/// With h = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean(g) - h mean(g h)), without mean(g) where not centred;
/// adds dy h to dgamma and dy to dbeta.
template <typename T, bool kCentred>
void normGradRow(const T* dy, const T* x, const T* gamma, Compute<T> mean, Compute<T> rstd, T* dx, Compute<T>* dgamma,
                 Compute<T>* dbeta, int64_t size) {
  typedef Compute<T> C;
  const C sumProduct =
      sumRow<T>(
          size,
          [&](int64_t j, int64_t count) __attribute__((always_inline)) {
            fetchPageAhead(dy + j);
            fetchPageAhead(x + j);
            return loadSome(dy + j, count) * loadSome(gamma + j, count) * (loadSome(x + j, count) - mean);
          }) *
      rstd / static_cast<C>(size);
  C sumGrad = 0;
  if constexpr (kCentred)
    sumGrad =
        sumRow<T>(
            size, [&](int64_t j, int64_t count)
                      __attribute__((always_inline)) { return loadSome(dy + j, count) * loadSome(gamma + j, count); }) /
        static_cast<C>(size);
  eachVector<T>(
      size, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        const Vector<T> grad = loadSome(dy + j, count);
        const Vector<T> h = (loadSome(x + j, count) - mean) * rstd;
        storeSome(dx + j, (grad * loadSome(gamma + j, count) - sumGrad - h * sumProduct) * rstd, count);
        storeSome(dgamma + j, loadSome(dgamma + j, count) + grad * h, count);
        if constexpr (kCentred) storeSome(dbeta + j, loadSome(dbeta + j, count) + grad, count);
      });
}

/// result[j] = sum over parts in order, for columns [first, last).
template <typename T>
void addParts(const Compute<T>* parts, int64_t count, int64_t size, int64_t first, int64_t last, T* result) {
  for (int64_t j = first; j < last; j++) {
    Compute<T> sum = 0;
    for (int64_t part = 0; part < count; part++) sum += parts[part * size + j];
    result[j] = store<T>(sum);
  }
}
