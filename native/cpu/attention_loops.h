// Blocked attention, forward (Dao, FlashAttention-2, 2023); included once per instruction-set level.

/// A width in whole vectors.
template <typename C>
constexpr int64_t paddedWidth(int64_t width) {
  return (width + kLanes<C> - 1) / kLanes<C> * kLanes<C>;
}

/// Rows as whole vectors of the compute type: the operand itself where it already is that, else a copy.
template <typename T, typename C>
const C* wholeRows(const T* from, int64_t stride, int64_t rows, int64_t width, C* copy, int64_t& copyStride) {
  if constexpr (std::is_same_v<T, C>)
    if (width % kLanes<C> == 0) {
      copyStride = stride;
      return from;
    }
  copyStride = paddedWidth<C>(width);
  for (int64_t i = 0; i < rows; i++) {
    int64_t j = 0;
    for (; j + kLanes<T> <= width; j += kLanes<T>)
      storeVector(copy + i * copyStride + j, loadVector(from + i * stride + j));
    if (j < width) storeVector(copy + i * copyStride + j, loadPart(from + i * stride + j, width - j));
  }
  return copy;
}

/// to[feature][kKeyBlock] = factor * from[key][feature], zero behind the last key.
template <typename T, typename C>
void transposeRows(const T* from, int64_t stride, int64_t rows, int64_t width, C factor, C* to) {
  for (int64_t first = 0; first < kKeyBlock; first += kLanes<C>)
    for (int64_t j = 0; j < width; j++) {
      C lanes[kLanes<C>] = {};
      const int64_t count = rows - first < kLanes<C> ? rows - first : kLanes<C>;
      for (int64_t i = 0; i < count; i++) lanes[i] = load(from[(first + i) * stride + j]) * factor;
      storeVector(to + j * kKeyBlock + first, loadVector(lanes));
    }
}

// Bools come as bytes: GCC 12 makes no vectors of bools.
template <typename C>
HEDDLE_INLINE C masked(C score, uint8_t visible) {
  return visible ? score : -std::numeric_limits<C>::infinity();
}
template <typename C, typename M>
HEDDLE_INLINE C masked(C score, M bias) {
  return score + static_cast<C>(load(bias));
}

/// A case for each way a row of a mask lies in memory, so that the first two are loops of vectors.
template <typename C, typename M>
HEDDLE_INLINE void maskRow(C* row, const M* mask, int64_t stride, int64_t count) {
  if (stride == 1) {
#pragma GCC ivdep
    for (int64_t j = 0; j < count; j++) row[j] = masked(row[j], mask[j]);
  } else if (stride == 0) {
    const M value = mask[0];
    for (int64_t j = 0; j < count; j++) row[j] = masked(row[j], value);
  } else {
    for (int64_t j = 0; j < count; j++) row[j] = masked(row[j], mask[j * stride]);
  }
}

/// Applies mask and causality to one row of scores; what is behind `count` becomes -inf as well.
template <typename C>
void hideScores(const AttentionProblem& p, C* row, const void* mask, int64_t offset, int64_t count, int64_t visible) {
  const int64_t stride = p.maskStrides[3];
  if (p.hasMask) {
    const int64_t seen = visible < count ? visible : count;
    switch (p.maskType) {
      case DType::bool_: maskRow(row, static_cast<const uint8_t*>(mask) + offset, stride, seen); break;
      case DType::f32: maskRow(row, static_cast<const float*>(mask) + offset, stride, seen); break;
      case DType::f64: maskRow(row, static_cast<const double*>(mask) + offset, stride, seen); break;
      case DType::bf16: maskRow(row, static_cast<const BFloat16*>(mask) + offset, stride, seen); break;
      default: maskRow(row, static_cast<const Float16*>(mask) + offset, stride, seen); break;
    }
  }
  for (int64_t j = visible < count ? (visible < 0 ? 0 : visible) : count; j < kKeyBlock; j++)
    row[j] = -std::numeric_limits<C>::infinity();
}

/// Turns a block's scores of one row into their weights beside the highest score so far, and adds these to `total`.
/// Gives what the sums of blocks before are to be multiplied with.
template <typename C>
HEDDLE_INLINE C weighScores(C* row, C& highest, C& total) {
  Vector<C> most = broadcast<Vector<C>>(highest);
  // NaN scores are passed over here and come back through their exponentials.
  for (int64_t j = 0; j < kKeyBlock; j += kLanes<C>) {
    const Vector<C> score = loadVector(row + j);
    most = most < score ? score : most;
  }
  const C now = maxLanes<C>(most);
  const C reference = now == -std::numeric_limits<C>::infinity() ? C{0} : now;
  Vector<C> sum = {};
  for (int64_t j = 0; j < kKeyBlock; j += kLanes<C>) {
    const Vector<C> weight = expNegative(loadVector(row + j) - reference);
    storeVector(row + j, weight);
    sum += weight;
  }
  C factor = 1;
  // Where no score was seen before, the sums are 0, or NaN and stay it.
  if (now != highest && highest != -std::numeric_limits<C>::infinity()) {
    factor = expNegative(broadcast<Vector<C>>(highest - reference))[0];
    total *= factor;
  }
  total += sumLanes(sum);
  highest = now;
  return factor;
}

/// Bytes of one thread's scratch memory, in elements of C.
template <typename C>
int64_t forwardScratch(const AttentionProblem& p) {
  const int64_t valueWidth = paddedWidth<C>(p.valueWidth);
  return blocksOf(p.keys, kKeyBlock) * kKeyBlock * (p.width + valueWidth) +
         kQueryBlock * (kKeyBlock + paddedWidth<C>(p.width) + valueWidth + 2 * kLanes<C>);
}

/// Query blocks [firstBlock, lastBlock) of one head.
template <typename T, typename C>
void attendHead(const AttentionProblem& p, const AttentionPointers<T>& in, T* out, C* logSumExp, int64_t batch,
                int64_t head, int64_t firstBlock, int64_t lastBlock, C* scratch) {
  const int64_t keyHead = head / p.groupSize();
  const T* q = in.q + batch * p.q.batch + head * p.q.head;
  const T* k = in.k + batch * p.k.batch + keyHead * p.k.head;
  const T* v = in.v + batch * p.v.batch + keyHead * p.v.head;
  out += batch * p.out.batch + head * p.out.head;
  logSumExp += batch * p.statisticStrides[0] + head * p.statisticStrides[1];
  const int64_t maskHead = batch * p.maskStrides[0] + head * p.maskStrides[1];
  const int64_t lead = p.keys - p.queries;
  const int64_t lastQuery = lastBlock * kQueryBlock < p.queries ? lastBlock * kQueryBlock : p.queries;
  int64_t keys = p.causal ? lastQuery + lead : p.keys;
  keys = keys < 0 ? 0 : keys;
  const int64_t keyBlocks = blocksOf(keys, kKeyBlock);
  const int64_t valueWidth = paddedWidth<C>(p.valueWidth);

  C* transposed = scratch;
  C* valueCopy = transposed + blocksOf(p.keys, kKeyBlock) * kKeyBlock * p.width;
  C* scores = valueCopy + blocksOf(p.keys, kKeyBlock) * kKeyBlock * valueWidth;
  C* queryCopy = scores + kQueryBlock * kKeyBlock;
  C* sums = queryCopy + kQueryBlock * paddedWidth<C>(p.width);
  C* highest = sums + kQueryBlock * valueWidth;
  C* total = highest + kQueryBlock;

  for (int64_t block = 0; block < keyBlocks; block++) {
    const int64_t first = block * kKeyBlock;
    const int64_t count = p.keys - first < kKeyBlock ? p.keys - first : kKeyBlock;
    transposeRows(k + first * p.k.row, p.k.row, count, p.width, static_cast<C>(p.scale), transposed + first * p.width);
  }
  int64_t valueStride;
  const C* values = wholeRows(v, p.v.row, keys, p.valueWidth, valueCopy, valueStride);

  uint32_t drawn[kDrawnWords] = {};
  for (int64_t queryBlock = firstBlock; queryBlock < lastBlock; queryBlock++) {
    const int64_t firstQuery = queryBlock * kQueryBlock;
    const int64_t rows = p.queries - firstQuery < kQueryBlock ? p.queries - firstQuery : kQueryBlock;
    int64_t queryStride;
    const C* queries = wholeRows(q + firstQuery * p.q.row, p.q.row, rows, p.width, queryCopy, queryStride);
    for (int64_t i = 0; i < rows; i++) {
      highest[i] = -std::numeric_limits<C>::infinity();
      total[i] = 0;
    }
    for (int64_t i = 0; i < rows * valueWidth; i++) sums[i] = 0;
    for (int64_t block = 0; block < keyBlocks; block++) {
      const int64_t firstKey = block * kKeyBlock;
      const int64_t count = p.keys - firstKey < kKeyBlock ? p.keys - firstKey : kKeyBlock;
      const int64_t shift = firstQuery - firstKey + lead;
      if (p.causal && rows + shift <= 0) break;
      const bool triangular = p.causal && shift < kKeyBlock;
      multiply(queries, queryStride, int64_t{1}, transposed + firstKey * p.width, kKeyBlock, scores, kKeyBlock, rows,
               paddedWidth<C>(count), p.width, false, triangular ? Triangle::columns : Triangle::none, shift);
      for (int64_t i = 0; i < rows; i++) {
        C* row = scores + i * kKeyBlock;
        const int64_t visible = p.causal ? i + shift + 1 : kKeyBlock;
        hideScores(p, row, in.mask, maskHead + (firstQuery + i) * p.maskStrides[2] + firstKey * p.maskStrides[3], count,
                   visible);
        const C factor = weighScores(row, highest[i], total[i]);
        if (factor != 1)
          for (int64_t j = 0; j < valueWidth; j += kLanes<C>)
            storeVector(sums + i * valueWidth + j, loadVector(sums + i * valueWidth + j) * factor);
        // The sum is of all weights: dropout comes after the softmax.
        const int64_t seen = visible < count ? visible : count;
        if (p.dropout > 0 && seen > 0)
          dropFromRow(p, row, drawRow(p, in.stream, batch, head, firstQuery + i, firstKey, seen, drawn), seen);
      }
      multiply(scores, kKeyBlock, int64_t{1}, values + firstKey * valueStride, valueStride, sums, valueWidth, rows,
               valueWidth, count, true, triangular ? Triangle::inner : Triangle::none, shift);
    }
    for (int64_t i = 0; i < rows; i++) {
      const C factor = total[i] == 0 ? C{0} : 1 / total[i];
      T* row = out + (firstQuery + i) * p.out.row;
      const C* sum = sums + i * valueWidth;
      int64_t j = 0;
      for (; j + kLanes<C> <= p.valueWidth; j += kLanes<C>) storeVector(row + j, loadVector(sum + j) * factor);
      if (j < p.valueWidth) storePart(row + j, loadVector(sum + j) * factor, p.valueWidth - j);
      logSumExp[(firstQuery + i) * p.statisticStrides[2]] =
          total[i] == 0 ? -std::numeric_limits<C>::infinity() : highest[i] + std::log(total[i]);
    }
  }
}
