// Blocked attention, backward (Dao, FlashAttention-2, 2023); included once per instruction-set level.
// With P = exp(S - lse), dV = P^T dO, dP = dO V^T, dS = P (dP - rowsum(dO O)), dQ = scale dS K, dK = scale dS^T Q.
// Where weights are dropped, what is kept of P and of dP, divided by 1 - dropout, stands in dV and in dS.

template <typename C>
int64_t backwardScratch(const AttentionProblem& p) {
  const int64_t width = paddedWidth<C>(p.width), valueWidth = paddedWidth<C>(p.valueWidth);
  const int64_t queries = blocksOf(p.queries, kQueryBlock) * kQueryBlock;
  return kKeyBlock * (p.width + p.valueWidth + 2 * width + valueWidth) +
         kQueryBlock * (2 * kKeyBlock + width + valueWidth) + p.groupSize() * queries * (width + 1) + kLanes<C>;
}

/// Writes padded rows of sums times `factor` to an operand.
template <typename T, typename C>
void writeRows(const C* sums, int64_t rows, int64_t width, C factor, T* to, int64_t stride) {
  const int64_t padded = paddedWidth<C>(width);
  for (int64_t i = 0; i < rows; i++) {
    int64_t j = 0;
    for (; j + kLanes<C> <= width; j += kLanes<C>)
      storeVector(to + i * stride + j, loadVector(sums + i * padded + j) * factor);
    if (j < width) storePart(to + i * stride + j, loadVector(sums + i * padded + j) * factor, width - j);
  }
}

/// sum over features of dO * O, which is also the sum over keys of P * dP.
template <typename T, typename C>
C rowProduct(const T* a, const T* b, int64_t width) {
  Vector<C> sum = {};
  int64_t j = 0;
  for (; j + kLanes<C> <= width; j += kLanes<C>) sum += loadVector(a + j) * loadVector(b + j);
  if (j < width) sum += loadPart(a + j, width - j) * loadPart(b + j, width - j);
  return sumLanes(sum);
}

/// The gradients of one key head and of the query heads that share it.
template <typename T, typename C>
void attendHeadGrad(const AttentionProblem& p, const AttentionPointers<T>& in, T* qGrad, T* kGrad, T* vGrad,
                    int64_t batch, int64_t keyHead, C* scratch) {
  const int64_t width = paddedWidth<C>(p.width), valueWidth = paddedWidth<C>(p.valueWidth);
  const int64_t lead = p.keys - p.queries;
  const int64_t paddedQueries = blocksOf(p.queries, kQueryBlock) * kQueryBlock;
  const C scale = static_cast<C>(p.scale);
  C* keyTransposed = scratch;
  C* valueTransposed = keyTransposed + kKeyBlock * p.width;
  C* keyCopy = valueTransposed + kKeyBlock * p.valueWidth;
  C* keySums = keyCopy + kKeyBlock * width;
  C* valueSums = keySums + kKeyBlock * width;
  C* weights = valueSums + kKeyBlock * valueWidth;
  C* weightGrads = weights + kQueryBlock * kKeyBlock;
  C* queryCopy = weightGrads + kQueryBlock * kKeyBlock;
  C* outGradCopy = queryCopy + kQueryBlock * width;
  C* querySums = outGradCopy + kQueryBlock * valueWidth;
  C* products = querySums + p.groupSize() * paddedQueries * width;

  for (int64_t member = 0; member < p.groupSize(); member++) {
    const int64_t head = keyHead * p.groupSize() + member;
    const T* o = in.out + batch * p.out.batch + head * p.out.head;
    const T* g = in.outGrad + batch * p.outGrad.batch + head * p.outGrad.head;
    for (int64_t i = 0; i < p.queries; i++)
      products[member * paddedQueries + i] = rowProduct<T, C>(o + i * p.out.row, g + i * p.outGrad.row, p.valueWidth);
  }
  for (int64_t i = 0; i < p.groupSize() * paddedQueries * width; i++) querySums[i] = 0;

  uint32_t drawn[kDrawnWords] = {};
  for (int64_t firstKey = 0; firstKey < p.keys; firstKey += kKeyBlock) {
    const int64_t count = p.keys - firstKey < kKeyBlock ? p.keys - firstKey : kKeyBlock;
    const int64_t columns = paddedWidth<C>(count);
    const T* k = in.k + batch * p.k.batch + keyHead * p.k.head + firstKey * p.k.row;
    const T* v = in.v + batch * p.v.batch + keyHead * p.v.head + firstKey * p.v.row;
    transposeRows(k, p.k.row, count, p.width, scale, keyTransposed);
    transposeRows(v, p.v.row, count, p.valueWidth, C{1}, valueTransposed);
    int64_t keyStride;
    const C* keys = wholeRows(k, p.k.row, count, p.width, keyCopy, keyStride);
    for (int64_t i = 0; i < kKeyBlock * width; i++) keySums[i] = 0;
    for (int64_t i = 0; i < kKeyBlock * valueWidth; i++) valueSums[i] = 0;

    for (int64_t member = 0; member < p.groupSize(); member++) {
      const int64_t head = keyHead * p.groupSize() + member;
      const C* logSumExp = in.logSumExp + batch * p.statisticStrides[0] + head * p.statisticStrides[1];
      for (int64_t firstQuery = 0; firstQuery < p.queries; firstQuery += kQueryBlock) {
        const int64_t rows = p.queries - firstQuery < kQueryBlock ? p.queries - firstQuery : kQueryBlock;
        const int64_t shift = firstQuery - firstKey + lead;
        if (p.causal && rows + shift <= 0) continue;
        const bool triangular = p.causal && shift < kKeyBlock;
        int64_t queryStride, outGradStride;
        const C* q = wholeRows(in.q + batch * p.q.batch + head * p.q.head + firstQuery * p.q.row, p.q.row, rows,
                               p.width, queryCopy, queryStride);
        const C* g =
            wholeRows(in.outGrad + batch * p.outGrad.batch + head * p.outGrad.head + firstQuery * p.outGrad.row,
                      p.outGrad.row, rows, p.valueWidth, outGradCopy, outGradStride);
        const Triangle byColumns = triangular ? Triangle::columns : Triangle::none;
        const Triangle byQueries = triangular ? Triangle::innerFrom : Triangle::none;
        multiply(q, queryStride, int64_t{1}, keyTransposed, kKeyBlock, weights, kKeyBlock, rows, columns, p.width,
                 false, byColumns, shift);
        multiply(g, outGradStride, int64_t{1}, valueTransposed, kKeyBlock, weightGrads, kKeyBlock, rows, columns,
                 p.valueWidth, false, byColumns, shift);
        for (int64_t i = 0; i < rows; i++) {
          C* row = weights + i * kKeyBlock;
          C* grad = weightGrads + i * kKeyBlock;
          const int64_t visible = p.causal ? i + shift + 1 : kKeyBlock;
          hideScores(p, row, in.mask,
                     batch * p.maskStrides[0] + head * p.maskStrides[1] + (firstQuery + i) * p.maskStrides[2] +
                         firstKey * p.maskStrides[3],
                     count, visible);
          const C statistic = logSumExp[(firstQuery + i) * p.statisticStrides[2]];
          // A row that attends to nothing has the log-sum-exp -inf; its weights are zero.
          const C infinity = std::numeric_limits<C>::infinity();
          const C reference = statistic == -infinity ? infinity : statistic;
          const C product = products[member * paddedQueries + firstQuery + i];
          const int64_t seen = visible < columns ? visible : columns;
          const int64_t drawable = visible < count ? visible : count;
          const uint32_t* words = nullptr;
          if (p.dropout > 0 && drawable > 0) {
            words = drawRow(p, in.stream, batch, head, firstQuery + i, firstKey, drawable, drawn);
            dropFromRow(p, grad, words, drawable);
          }
          for (int64_t j = 0; j < columns; j += kLanes<C>) {
            if (j >= seen) {
              storeVector(row + j, Vector<C>{});
              storeVector(grad + j, Vector<C>{});
              continue;
            }
            const Vector<C> score = loadVector(row + j);
            const Vector<C> weight = expNegative(score - reference);
            const Vector<C> change = weight * (loadVector(grad + j) - product);
            storeVector(row + j, weight);
            // Scores that are hidden pass nothing back, whatever the products in their place.
            storeVector(grad + j, weight == C{0} ? Vector<C>{} : change);
          }
          if (words) dropFromRow(p, row, words, drawable);
        }
        multiply(weights, int64_t{1}, kKeyBlock, g, outGradStride, valueSums, valueWidth, count, valueWidth, rows, true,
                 byQueries, shift);
        multiply(weightGrads, int64_t{1}, kKeyBlock, q, queryStride, keySums, width, count, width, rows, true,
                 byQueries, shift);
        multiply(weightGrads, kKeyBlock, int64_t{1}, keys, keyStride,
                 querySums + (member * paddedQueries + firstQuery) * width, width, rows, width, count, true,
                 triangular ? Triangle::inner : Triangle::none, shift);
      }
    }
    writeRows(keySums, count, p.width, scale,
              kGrad + batch * p.kGrad.batch + keyHead * p.kGrad.head + firstKey * p.kGrad.row, p.kGrad.row);
    writeRows(valueSums, count, p.valueWidth, C{1},
              vGrad + batch * p.vGrad.batch + keyHead * p.vGrad.head + firstKey * p.vGrad.row, p.vGrad.row);
  }
  for (int64_t member = 0; member < p.groupSize(); member++)
    writeRows(querySums + member * paddedQueries * width, p.queries, p.width, scale,
              qGrad + batch * p.qGrad.batch + (keyHead * p.groupSize() + member) * p.qGrad.head, p.qGrad.row);
}
