// Attention of few queries, as in decoding with a key-value cache: keys and values are read once, as they lie, for all
// queries of all heads that share them; included once per instruction-set level.
//
// The keys are split into spans, so that there is work for all threads where there are few heads; what each span gives
// is put together at the end (Dao, Haziza, Massa, Sizov, Flash-Decoding, 2023). Spans do not depend on the threads.

template <int kApart, typename V, int... lane>
HEDDLE_INLINE V addAcross(V a, V b, std::integer_sequence<int, lane...>) {
  constexpr int lanes = sizeof...(lane);
  return __builtin_shufflevector(a, b, (lane & kApart ? lanes + lane : lane)...) +
         __builtin_shufflevector(a, b, (lane & kApart ? lanes + lane - kApart : lane + kApart)...);
}

/// Lane i is the sum of the lanes of `vectors[i]`, of which there are as many as lanes: a tree over all at once.
template <int kLanesEach, int kApart = 1, typename V>
HEDDLE_INLINE V sumEach(V* vectors) {
  constexpr int left = kLanesEach / kApart;
  if constexpr (left == 1) {
    return vectors[0];
  } else {
#pragma GCC unroll 8
    for (int i = 0; i < left / 2; i++)
      vectors[i] = addAcross<kApart>(vectors[2 * i], vectors[2 * i + 1], std::make_integer_sequence<int, kLanesEach>{});
    return sumEach<kLanesEach, kApart * 2>(vectors);
  }
}

/// Elements of one cache line, but no fewer than a vector's.
template <typename E>
constexpr int64_t kLineElements = std::max<int64_t>(64 / sizeof(E), kLanes<E>);

/// Products of a query with `count` keys; `width` is a whole number of vectors. Writes whole vectors of scores.
/// With kPrefetch the keys behind are asked for meanwhile: rows are too short for the processor to see which come next.
template <bool kPrefetch, typename C, typename E>
HEDDLE_INLINE void scoreKeys(const C* query, int64_t width, const E* keys, int64_t stride, int64_t count, C* scores) {
  constexpr int lanes = kLanes<C>;
  for (int64_t first = 0; first < count; first += lanes) {
    const E* rows[lanes];
    // Behind the last key it is taken again.
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i++) rows[i] = keys + (first + i < count ? first + i : count - 1) * stride;
    if constexpr (kPrefetch)
      for (int i = 0; i < lanes; i++)
        for (int64_t j = 0; j < width; j += kLineElements<E>) __builtin_prefetch(rows[i] + 2 * lanes * stride + j);
    Vector<C> sums[lanes] = {};
    for (int64_t j = 0; j < width; j += lanes) {
      const Vector<C> part = loadVector(query + j);
#pragma GCC unroll 16
      for (int i = 0; i < lanes; i++) sums[i] += part * loadVector(rows[i] + j);
    }
    storeVector(scores + first, sumEach<lanes>(sums));
  }
}

/// sums = factor * sums + the sum of `count` rows of values times their weights; `width` is a whole number of vectors.
template <bool kPrefetch, int kVectors = 8, typename C, typename E>
HEDDLE_INLINE void addValues(const C* weights, const E* values, int64_t stride, int64_t count, int64_t width, C factor,
                             C* sums) {
  typedef Vector<C> V;
  constexpr int64_t columns = kVectors * kLanes<C>;
  int64_t j = 0;
  for (; j + columns <= width; j += columns) {
    V parts[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v++) parts[v] = loadVector(sums + j + v * kLanes<C>) * factor;
    for (int64_t i = 0; i < count; i++) {
      const E* row = values + i * stride + j;
      const V weight = broadcast<V>(weights[i]);
      if constexpr (kPrefetch)
#pragma GCC unroll 8
        for (int64_t line = 0; line < columns; line += kLineElements<E>) __builtin_prefetch(row + 16 * stride + line);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) parts[v] += weight * loadVector(row + v * kLanes<C>);
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v++) storeVector(sums + j + v * kLanes<C>, parts[v]);
  }
  if constexpr (kVectors > 1)
    if (j < width) addValues<kPrefetch, kVectors / 2>(weights, values + j, stride, count, width - j, factor, sums + j);
}

/// Elements of what one span gives one query: the sums of weighted values, the highest score, the sum of weights.
template <typename C>
int64_t spanPart(const AttentionProblem& p) {
  return paddedWidth<C>(p.valueWidth) + kLanes<C>;
}

/// One thread's scratch memory, in elements of C.
template <typename C>
int64_t fewQueriesScratch(const AttentionProblem& p) {
  const int64_t width = paddedWidth<C>(p.width);
  return p.groupSize() * p.queries * width + kKeyBlock * (width + paddedWidth<C>(p.valueWidth) + 1);
}

/// One block of keys for the queries of all heads that share it; with kOnce it is one query, and rows come from memory.
template <bool kOnce, typename T, typename C, typename E>
void attendBlock(const AttentionProblem& p, const AttentionPointers<T>& in, int64_t batch, int64_t keyHead,
                 int64_t firstKey, int64_t count, const C* queries, const E* keys, int64_t keyStride, const E* values,
                 int64_t valueStride, C* scores, C* parts, int64_t partStride) {
  const int64_t width = paddedWidth<C>(p.width), valueWidth = paddedWidth<C>(p.valueWidth);
  uint32_t drawn[kDrawnWords] = {};
  for (int64_t row = 0; row < p.groupSize() * p.queries; row++) {
    const int64_t head = keyHead * p.groupSize() + row / p.queries, query = row % p.queries;
    const int64_t visible = p.causal ? query + p.keys - p.queries - firstKey + 1 : count;
    if (visible <= 0) continue;
    const int64_t seen = visible < count ? visible : count;
    scoreKeys<kOnce>(queries + row * width, width, keys, keyStride, seen, scores);
    hideScores(
        p, scores, in.mask,
        batch * p.maskStrides[0] + head * p.maskStrides[1] + query * p.maskStrides[2] + firstKey * p.maskStrides[3],
        seen, seen);
    C* sums = parts + row * partStride;
    C* statistics = sums + valueWidth;
    const C factor = weighScores(scores, statistics[0], statistics[1]);
    if (p.dropout > 0) dropFromRow(p, scores, drawRow(p, in.stream, batch, head, query, firstKey, seen, drawn), seen);
    addValues<kOnce>(scores, values, valueStride, seen, valueWidth, factor, sums);
  }
}

/// A span of keys for the queries of all heads that share it. `parts` has the first query's, others are `partStride`
/// behind each other.
template <typename T, typename C>
void attendSpan(const AttentionProblem& p, const AttentionPointers<T>& in, int64_t batch, int64_t keyHead,
                int64_t first, int64_t last, C* parts, int64_t partStride, C* scratch) {
  const int64_t width = paddedWidth<C>(p.width), valueWidth = paddedWidth<C>(p.valueWidth);
  const int64_t rows = p.groupSize() * p.queries;
  C* queries = scratch;
  C* keyCopy = queries + rows * width;
  C* valueCopy = keyCopy + kKeyBlock * width;
  C* scores = valueCopy + kKeyBlock * valueWidth;
  for (int64_t row = 0; row < rows; row++) {
    const T* q =
        in.q + batch * p.q.batch + (keyHead * p.groupSize() + row / p.queries) * p.q.head + row % p.queries * p.q.row;
    eachVector<T>(
        p.width, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
          storeVector(queries + row * width + j, loadSome(q + j, count) * static_cast<C>(p.scale));
        });
    C* part = parts + row * partStride;
    for (int64_t j = 0; j < valueWidth; j += kLanes<C>) storeVector(part + j, Vector<C>{});
    part[valueWidth] = -std::numeric_limits<C>::infinity();
    part[valueWidth + 1] = 0;
  }
  const T* k = in.k + batch * p.k.batch + keyHead * p.k.head;
  const T* v = in.v + batch * p.v.batch + keyHead * p.v.head;
  // For several queries, elements that have to be converted are so once.
  const bool once = rows == 1 && width == p.width && valueWidth == p.valueWidth;
  for (int64_t firstKey = first; firstKey < last; firstKey += kKeyBlock) {
    const int64_t count = last - firstKey < kKeyBlock ? last - firstKey : kKeyBlock;
    const T* blockKeys = k + firstKey * p.k.row;
    const T* blockValues = v + firstKey * p.v.row;
    if (once) {
      attendBlock<true>(p, in, batch, keyHead, firstKey, count, queries, blockKeys, p.k.row, blockValues, p.v.row,
                        scores, parts, partStride);
    } else {
      int64_t keyStride, valueStride;
      const C* keys = wholeRows(blockKeys, p.k.row, count, p.width, keyCopy, keyStride);
      const C* values = wholeRows(blockValues, p.v.row, count, p.valueWidth, valueCopy, valueStride);
      attendBlock<false>(p, in, batch, keyHead, firstKey, count, queries, keys, keyStride, values, valueStride, scores,
                         parts, partStride);
    }
  }
}

/// Puts together what `spans` spans give one query; `parts` has the first one's, the others lie behind it.
template <typename T, typename C>
void joinSpans(const AttentionProblem& p, C* parts, int64_t spans, T* out, C* logSumExp) {
  const int64_t valueWidth = paddedWidth<C>(p.valueWidth), step = spanPart<C>(p);
  C highest = -std::numeric_limits<C>::infinity(), total = 0;
  for (int64_t span = 0; span < spans; span++) {
    const C here = parts[span * step + valueWidth];
    highest = highest < here ? here : highest;
  }
  const C reference = highest == -std::numeric_limits<C>::infinity() ? C{0} : highest;
  for (int64_t span = 0; span < spans; span++) {
    // Each span's factor takes the place of its highest score.
    C& factor = parts[span * step + valueWidth];
    factor = expNegative(broadcast<Vector<C>>(factor - reference))[0];
    total += factor * parts[span * step + valueWidth + 1];
  }
  const C scale = total == 0 ? C{0} : 1 / total;
  eachVector<C>(
      p.valueWidth, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        Vector<C> sum = {};
        for (int64_t span = 0; span < spans; span++)
          sum += loadVector(parts + span * step + j) * parts[span * step + valueWidth];
        storeSome(out + j, sum * scale, count);
      });
  *logSumExp = total == 0 ? -std::numeric_limits<C>::infinity() : highest + std::log(total);
}
