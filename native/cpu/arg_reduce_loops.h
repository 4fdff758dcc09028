// The largest or smallest element and where it is: of a row, and of columns side by side; included once per
// instruction-set level.

/// Whether a value comes before the best so far: it is larger (or smaller), or the first NaN, which is not at most (or
/// at least) anything. Of vectors, lane by lane.
template <bool kMax, typename V>
HEDDLE_INLINE auto precedes(V value, V best) {
  return (!(kMax ? value <= best : value >= best)) & (best == best);
}

/// Elements of T side by side, as numbers as wide as their positions.
template <typename T>
struct SideBySide {
  typedef std::conditional_t<std::is_floating_point_v<Compute<T>>, Vector<T>,
                             std::conditional_t<sizeof(T) == 8, LongVector, IntVector>>
      Values;
  typedef std::conditional_t<sizeof(Values{}[0]) == 8, LongVector, IntVector> Positions;
  static constexpr int64_t kCount = sizeof(Values) / sizeof(Values{}[0]);

  HEDDLE_INLINE Values load(const T* from) {
    if constexpr (std::is_floating_point_v<Compute<T>>) {
      return loadVector(from);
    } else {
      Values values;
      for (int64_t lane = 0; lane < kCount; lane++) values[lane] = from[lane];
      return values;
    }
  }
};

/// Every lane gets that of the one whose number differs in a bit.
template <int kBit, typename V, int... kLane>
HEDDLE_INLINE V exchanged(V value, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(value, value, (kLane ^ kBit)...);
}

/// Takes others in where they come before, or are equal and lie ahead.
template <bool kMax, typename V, typename P>
HEDDLE_INLINE void takeIn(V& best, P& position, V others, P places) {
  const P taken = precedes<kMax>(others, best) | (~precedes<kMax>(best, others) & (places < position));
  best = taken ? others : best;
  position = taken ? places : position;
}
template <bool kMax, int kBit, typename V, typename P>
HEDDLE_INLINE void takeInLanes(V& best, P& position) {
  constexpr std::make_integer_sequence<int, sizeof(V) / sizeof(best[0])> lanes;
  takeIn<kMax>(best, position, exchanged<kBit>(best, lanes), exchanged<kBit>(position, lanes));
  if constexpr (kBit > 1) takeInLanes<kMax, kBit / 2>(best, position);
}

/// The extreme of elements `from` to `to` of a row, at least one. Without branches, which nothing would foresee.
template <bool kMax, typename T>
void extremeOfRow(const T* x, int64_t from, int64_t to, Compute<T>* best, int32_t* position) {
  typedef SideBySide<T> Side;
  typedef typename Side::Positions Positions;
  constexpr int64_t lanes = Side::kCount;
  const int64_t count = to - from;
  const T* row = x + from;
  if (count < lanes) {
    Compute<T> found = load(row[0]);
    int64_t at = 0;
    for (int64_t i = 1; i < count; i++) {
      const Compute<T> value = load(row[i]);
      const bool first = precedes<kMax>(value, found);
      found = first ? value : found;
      at = first ? i : at;
    }
    *best = found;
    *position = static_cast<int32_t>(from + at);
    return;
  }
  typedef std::remove_cvref_t<decltype(Positions{}[0])> Position;
  Positions own;
  for (int64_t lane = 0; lane < lanes; lane++) own[lane] = static_cast<Position>(lane);
  const auto see = [&](int64_t i, Positions places, typename Side::Values & found, Positions & at)
      __attribute__((always_inline)) {
    const typename Side::Values values = Side::load(row + i);
    const Positions first = precedes<kMax>(values, found);
    found = first ? values : found;
    at = first ? places : at;
  };
  // Four of each, as each comparison waits for the one before: vectors side by side, or in four parts of what is long.
  constexpr int64_t chains = 4;
  const bool streams = count * static_cast<int64_t>(sizeof(T)) >= kLeastOfStreams;
  const int64_t apart = streams ? count / (chains * lanes) * lanes : lanes, step = streams ? lanes : chains * lanes;
  const int64_t whole = count / (chains * lanes) * (chains * lanes), end = streams ? apart : whole;
  typename Side::Values found[chains];
  Positions at[chains];
#pragma GCC unroll 4
  for (int64_t chain = 0; chain < chains; chain++) {
    found[chain] = Side::load(row);
    at[chain] = own;
  }
  Positions next = own;
  for (int64_t i = 0; i < end; i += step) {
    if (!streams)
#pragma GCC unroll 4
      for (int64_t chain = 0; chain < chains; chain++) fetchPageAhead(row + i + chain * lanes);
#pragma GCC unroll 4
    for (int64_t chain = 0; chain < chains; chain++)
      see(i + chain * apart, next + static_cast<Position>(chain * apart), found[chain], at[chain]);
    next += static_cast<Position>(step);
  }
  for (int64_t i = whole; i + lanes <= count; i += lanes) see(i, own + static_cast<Position>(i), found[0], at[0]);
  see(count - lanes, own + static_cast<Position>(count - lanes), found[1], at[1]);
#pragma GCC unroll 4
  for (int64_t half = chains / 2; half > 0; half /= 2)
    for (int64_t chain = 0; chain < half; chain++)
      takeIn<kMax>(found[chain], at[chain], found[chain + half], at[chain + half]);
  takeInLanes<kMax, lanes / 2>(found[0], at[0]);
  *best = static_cast<Compute<T>>(found[0][0]);
  *position = static_cast<int32_t>(from + int64_t{at[0][0]});
}

/// `kRows` rows from number `row` on, of which each column's best so far is read and written once where it is as wide
/// as its position.
template <bool kMax, int kRows, typename T>
HEDDLE_INLINE void compareRows(const T* values, int64_t row, int64_t stride, int64_t count, Compute<T>* best,
                               int32_t* position) {
  int64_t whole = 0;
  if constexpr (sizeof(Compute<T>) == sizeof(int32_t)) {
    typedef SideBySide<T> Side;
    for (; whole + Side::kCount <= count; whole += Side::kCount) {
      typename Side::Values found;
      typename Side::Positions at;
      __builtin_memcpy(&found, best + whole, sizeof found);
      __builtin_memcpy(&at, position + whole, sizeof at);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; r++) {
        // Rows side by side are more streams than a processor foresees. (Behind the last row a prefetch is ignored.)
        __builtin_prefetch(values + (kRows + r) * stride + whole);
        const typename Side::Values next = Side::load(values + r * stride + whole);
        const typename Side::Positions first = precedes<kMax>(next, found);
        found = first ? next : found;
        at = first ? static_cast<int32_t>(row + r) - typename Side::Positions{} : at;
      }
      __builtin_memcpy(best + whole, &found, sizeof found);
      __builtin_memcpy(position + whole, &at, sizeof at);
    }
  }
  for (int r = 0; r < kRows; r++) {
#pragma GCC ivdep
    for (int64_t j = whole; j < count; j++) {
      const Compute<T> value = load(values[r * stride + j]);
      const bool first = precedes<kMax>(value, best[j]);
      best[j] = first ? value : best[j];
      position[j] = first ? static_cast<int32_t>(row + r) : position[j];
    }
  }
}

/// Of `count` columns, `stride` elements apart: some rows of all of them at a time.
template <bool kMax, typename T>
HEDDLE_INLINE void extremesOfRows(const T* x, int64_t from, int64_t to, int64_t stride, int64_t count, Compute<T>* best,
                                  int32_t* position) {
  for (int64_t j = 0; j < count; j++) {
    best[j] = load(x[from * stride + j]);
    position[j] = static_cast<int32_t>(from);
  }
  int64_t row = from + 1;
  for (; row + 4 <= to; row += 4) compareRows<kMax, 4>(x + row * stride, row, stride, count, best, position);
  for (; row < to; row++) compareRows<kMax, 1>(x + row * stride, row, stride, count, best, position);
}

/// The extremes of elements `from` to `to`, at least one, of `count` columns of a matrix whose rows are `stride` wide.
template <bool kMax, typename T>
void extremesOfColumns(const T* x, int64_t from, int64_t to, int64_t stride, int64_t count, Compute<T>* best,
                       int32_t* position) {
  int64_t together = 1;
  while (together * count < kMostNarrow || together * count % kVectorRows != 0) together *= 2;
  const int64_t groups = (to - from) / together;
  if (count != stride || count >= kMostNarrow || groups < 4)
    return extremesOfRows<kMax>(x, from, to, stride, count, best, position);
  Compute<T> each[kMostNarrow * kVectorRows];
  int32_t at[kMostNarrow * kVectorRows];
  extremesOfRows<kMax>(x + from * count, 0, groups, together * count, together * count, each, at);
  const auto see = [&](int64_t j, Compute<T> value, int64_t row) {
    const bool same = !precedes<kMax>(best[j], value) && row < position[j];
    if (!precedes<kMax>(value, best[j]) && !same) return;
    best[j] = value;
    position[j] = static_cast<int32_t>(row);
  };
  for (int64_t j = 0; j < count; j++) {
    best[j] = each[j];
    position[j] = static_cast<int32_t>(from + at[j] * together);
    for (int64_t r = 1; r < together; r++) see(j, each[r * count + j], from + at[r * count + j] * together + r);
    for (int64_t row = from + groups * together; row < to; row++) see(j, load(x[row * count + j]), row);
  }
}
