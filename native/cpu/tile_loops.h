// Products of small matrices on one thread, in registers; included once per instruction-set level.
// out[m, n] (+)= sum of a[m, k] b[k, n]; a has free strides, rows of b and out are whole vectors.

#if HEDDLE_VECTOR_BYTES == 64
constexpr int kTileRows = 6, kTileVectors = 4;
#else
constexpr int kTileRows = 4, kTileVectors = 2;
#endif

/// Which part of a causal product is not zero; `shift` counts keys a query sees behind its own position in the block.
enum class Triangle {
  none,
  columns,    // rows are queries, columns keys: columns behind row + shift are not needed
  inner,      // rows are queries, the sum runs over keys: it ends at row + shift
  innerFrom,  // rows are keys, the sum runs over queries: it starts at row - shift
};

template <typename C, int kRows, int kVectors>
HEDDLE_INLINE void multiplyRegisters(const C* a, int64_t rowStride, int64_t columnStride, const C* b, int64_t strideB,
                                     C* out, int64_t strideOut, int64_t first, int64_t last, bool accumulate) {
  typedef Vector<C> V;
  V sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) sums[i][j] = accumulate ? loadVector(out + i * strideOut + j * kLanes<C>) : V{};
  for (int64_t k = first; k < last; k++) {
    V row[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) row[j] = loadVector(b + k * strideB + j * kLanes<C>);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
      const V factor = broadcast<V>(a[i * rowStride + k * columnStride]);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; j++) sums[i][j] += factor * row[j];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) storeVector(out + i * strideOut + j * kLanes<C>, sums[i][j]);
}

template <typename C, int kRows, int kVectors = kTileVectors>
void multiplyColumns(const C* a, int64_t rowStride, int64_t columnStride, const C* b, int64_t strideB, C* out,
                     int64_t strideOut, int64_t columns, int64_t first, int64_t last, bool accumulate) {
  int64_t j = 0;
  for (; j + kVectors * kLanes<C> <= columns; j += kVectors * kLanes<C>)
    multiplyRegisters<C, kRows, kVectors>(a, rowStride, columnStride, b + j, strideB, out + j, strideOut, first, last,
                                          accumulate);
  if constexpr (kVectors > 1)
    if (j < columns)
      multiplyColumns<C, kRows, kVectors - 1>(a, rowStride, columnStride, b + j, strideB, out + j, strideOut,
                                              columns - j, first, last, accumulate);
}

template <typename C, int kRows>
HEDDLE_INLINE void multiplyRows(const C* a, int64_t rowStride, int64_t columnStride, const C* b, int64_t strideB,
                                C* out, int64_t strideOut, int64_t row, int64_t columns, int64_t inner, bool accumulate,
                                Triangle triangle, int64_t shift) {
  int64_t first = 0, last = inner;
  const int64_t end = row + kRows + shift;
  if (triangle == Triangle::columns) {
    const int64_t needed = (end + kLanes<C> - 1) / kLanes<C> * kLanes<C>;
    columns = needed < columns ? needed : columns;
  } else if (triangle == Triangle::inner) {
    last = end < inner ? end : inner;
  } else if (triangle == Triangle::innerFrom) {
    first = row - shift > 0 ? row - shift : 0;
  }
  multiplyColumns<C, kRows>(a + row * rowStride, rowStride, columnStride, b, strideB, out + row * strideOut, strideOut,
                            columns, first, last, accumulate);
}

/// `columns` is a whole number of vectors.
template <typename C>
void multiply(const C* a, int64_t rowStride, int64_t columnStride, const C* b, int64_t strideB, C* out,
              int64_t strideOut, int64_t rows, int64_t columns, int64_t inner, bool accumulate, Triangle triangle,
              int64_t shift) {
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows)
    multiplyRows<C, kTileRows>(a, rowStride, columnStride, b, strideB, out, strideOut, row, columns, inner, accumulate,
                               triangle, shift);
  for (; row + 2 <= rows; row += 2)
    multiplyRows<C, 2>(a, rowStride, columnStride, b, strideB, out, strideOut, row, columns, inner, accumulate,
                       triangle, shift);
  if (row < rows)
    multiplyRows<C, 1>(a, rowStride, columnStride, b, strideB, out, strideOut, row, columns, inner, accumulate,
                       triangle, shift);
}
