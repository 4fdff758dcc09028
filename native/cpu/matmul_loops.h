// Blocked matmul of one panel of columns; included once per instruction-set level.

/// Integers multiply and add as unsigned numbers of the same width, so that overflow wraps.
template <typename T>
struct Wrapping {
  typedef std::make_unsigned_t<T> type;
};
template <>
struct Wrapping<float> {
  typedef float type;
};
template <>
struct Wrapping<double> {
  typedef double type;
};

/// out[i, j] for `rows` rows of a and one packed panel [k][kPanel] of b, of which `columns` are stored.
/// Sums run over k in order whatever the blocking, so results depend on the operands alone.
template <typename T, int kRows, int kPanel>
HEDDLE_INLINE void multiplyTile(const T* a, int64_t rowStride, int64_t columnStride, const T* panel, int64_t k, T* out,
                                int64_t outStride, int64_t columns) {
  typedef typename Wrapping<T>::type Element;
  Element sums[kRows][kPanel] = {};
  for (int64_t p = 0; p < k; p++) {
    const T* row = panel + p * kPanel;
    for (int i = 0; i < kRows; i++) {
      const Element factor = static_cast<Element>(a[i * rowStride + p * columnStride]);
      for (int j = 0; j < kPanel; j++)
        sums[i][j] = static_cast<Element>(sums[i][j] + factor * static_cast<Element>(row[j]));
    }
  }
  for (int i = 0; i < kRows; i++)
    for (int64_t j = 0; j < columns; j++) out[i * outStride + j] = static_cast<T>(sums[i][j]);
}

template <typename T, int kPanel>
void multiplyPanel(const T* a, int64_t rowStride, int64_t columnStride, const T* panel, int64_t k, T* out,
                   int64_t outStride, int64_t rows, int64_t columns) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4)
    multiplyTile<T, 4, kPanel>(a + i * rowStride, rowStride, columnStride, panel, k, out + i * outStride, outStride,
                               columns);
  for (; i < rows; i++)
    multiplyTile<T, 1, kPanel>(a + i * rowStride, rowStride, columnStride, panel, k, out + i * outStride, outStride,
                               columns);
}
