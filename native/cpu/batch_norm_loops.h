// Batch norm over memory of [outer][channel][inner]; included once per instruction-set level.
// Where inner is 1 (channels-last) vectors run over channels, else over the elements of one channel.

/// sums[c] += x and squares[c] += (x - middle)^2, or the gradient's dy and dy (x - middle), for rows of channels.
template <typename T, bool kGrad>
void addChannelRows(const T* x, const T* dy, const Compute<T>* middle, int64_t rows, int64_t channels, Compute<T>* sums,
                    Compute<T>* products) {
  for (int64_t row = 0; row < rows; row++)
    eachVector<T>(
        channels, [&](int64_t c, int64_t count) __attribute__((always_inline)) {
          typedef Compute<T> C;
          const int64_t at = row * channels + c;
          const Vector<T> distance = loadSome(x + at, count) - loadSome(middle + c, count);
          const Vector<T> value = kGrad ? loadSome(dy + at, count) : distance;
          storeSome<C>(sums + c, loadSome(sums + c, count) + value, count);
          storeSome<C>(products + c, loadSome(products + c, count) + value * distance, count);
        });
}

/// The same for one channel of one outer index.
template <typename T, bool kGrad>
void addChannelPlane(const T* x, const T* dy, Compute<T> middle, int64_t inner, Compute<T>* sum, Compute<T>* product) {
  typedef Compute<T> C;
  *sum += sumRow<T>(
      inner, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        return kGrad ? loadSome(dy + j, count) : fillBehind<T>(loadSome(x + j, count) - middle, count, C{0});
      });
  *product += sumRow<T>(
      inner, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        const Vector<T> distance = fillBehind<T>(loadSome(x + j, count) - middle, count, C{0});
        return distance * (kGrad ? loadSome(dy + j, count) : distance);
      });
}

/// out = a dy + b (x - middle) + c per channel; the forward pass has no dy.
template <typename T, bool kGrad>
void applyChannelRow(const T* x, const T* dy, const Compute<T>* middle, const Compute<T>* a, const Compute<T>* b,
                     const Compute<T>* shift, int64_t channels, T* out) {
  eachVector<T>(
      channels, [&](int64_t c, int64_t count) __attribute__((always_inline)) {
        Vector<T> value = (loadSome(x + c, count) - loadSome(middle + c, count)) * loadSome(b + c, count) +
                          loadSome(shift + c, count);
        if constexpr (kGrad) value += loadSome(dy + c, count) * loadSome(a + c, count);
        storeSome(out + c, value, count);
      });
}

template <typename T, bool kGrad>
void applyChannelPlane(const T* x, const T* dy, Compute<T> middle, Compute<T> a, Compute<T> b, Compute<T> shift,
                       int64_t inner, T* out) {
  eachVector<T>(
      inner, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        Vector<T> value = (loadSome(x + j, count) - middle) * b + shift;
        if constexpr (kGrad) value += loadSome(dy + j, count) * a;
        storeSome(out + j, value, count);
      });
}
