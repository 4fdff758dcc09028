// Dropout of attention weights: they are never held, so what is dropped is drawn wherever a block of them is computed;
// included once per instruction-set level.

/// Words for one row of a block of keys, which may start inside a block of Philox.
constexpr int64_t kDrawnWords = kKeyBlock + 4 * kPhiloxBlocks;

/// Draws for the weights (batch, head, query, firstKey...): element ((b H + h) T + i) S + j is that of (b, h, i, j).
/// Gives where in `words` the first one's is.
HEDDLE_INLINE const uint32_t* drawRow(const AttentionProblem& p, const DropoutStream& stream, int64_t batch,
                                      int64_t head, int64_t query, int64_t firstKey, int64_t count, uint32_t* words) {
  const uint64_t position = static_cast<uint64_t>(((batch * p.heads + head) * p.queries + query) * p.keys + firstKey);
  const uint64_t block = stream.counter + (position >> 2);
  const int64_t lead = static_cast<int64_t>(position & 3);
  for (int64_t i = 0; i < lead + count; i += 4 * kPhiloxBlocks)
    philoxBlocks(block + static_cast<uint64_t>(i / 4), stream.seed, words + i);
  return words + lead;
}

/// All bits set where a word's uniform, of its upper 24 bits, is not below the probability of dropping.
HEDDLE_INLINE IntVector keptLanes(const uint32_t* words, int32_t limit, FloatVector) {
  BitVector lanes;
  __builtin_memcpy(&lanes, words, sizeof lanes);
  return (IntVector)(lanes >> 8) >= limit;
}
HEDDLE_INLINE LongVector keptLanes(const uint32_t* words, int32_t limit, DoubleVector) {
  HalfIntVector lanes;
  __builtin_memcpy(&lanes, words, sizeof lanes);
  return __builtin_convertvector((lanes >> 8 & 0xffffff) >= limit, LongVector);
}

/// What is kept of a row times 1 / (1 - dropout), the rest 0, whatever it was.
template <typename C>
HEDDLE_INLINE void dropFromRow(const AttentionProblem& p, C* row, const uint32_t* words, int64_t count) {
  const C scale = static_cast<C>(p.keptScale);
  const int32_t limit = p.dropLimit;
  for (int64_t j = 0; j < count; j += kLanes<C>) {
    const Vector<C> value = loadVector(row + j) * scale;
    storeVector(row + j, keptLanes(words + j, limit, value) ? value : Vector<C>{});
  }
}
