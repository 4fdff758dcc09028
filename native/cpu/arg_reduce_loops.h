// The largest or smallest element and where it is: of a row, and of columns side by side; included once per
// instruction-set level.

/// Whether a value comes before the best so far: it is larger (or smaller), or the first NaN.
template <bool kMax, typename C>
HEDDLE_INLINE bool precedes(C value, C best) {
  return (kMax ? value > best : value < best) | ((value != value) & (best == best));
}

/// The extreme of elements `from` to `to`, at least one, `stride` apart: one after the other.
template <bool kMax, typename T>
HEDDLE_INLINE void extremeByElement(const T* x, int64_t from, int64_t to, int64_t stride, Compute<T>* best,
                                    int32_t* position) {
  Compute<T> found = load(x[from * stride]);
  int64_t at = from;
  for (int64_t i = from + 1; i < to && found == found; i++) {
    const Compute<T> value = load(x[i * stride]);
    if (!(kMax ? value > found : value < found) && value == value) continue;
    found = value;
    at = i;
  }
  *best = found;
  *position = static_cast<int32_t>(at);
}

/// Of a row: of each block first what it is, in lanes that become vectors, and where it is only if it comes before
/// those of the blocks ahead of it.
template <bool kMax, typename T>
void extremeOfRow(const T* x, int64_t from, int64_t to, Compute<T>* best, int32_t* position) {
  typedef Compute<T> C;
  constexpr int64_t lanes = 32, block = 64 * lanes;
  if (to - from < 2 * lanes) return extremeByElement<kMax>(x, from, to, 1, best, position);
  C found = load(x[from]);
  int64_t at = from, first = from;
  for (; first + lanes <= to && found == found;) {
    const int64_t count = (to - first < block ? to - first : block) / lanes * lanes;
    C each[lanes];
    for (int64_t lane = 0; lane < lanes; lane++) each[lane] = load(x[first + lane]);
    for (int64_t i = lanes; i < count; i += lanes)
      for (int64_t lane = 0; lane < lanes; lane++) {
        const C value = load(x[first + i + lane]);
        each[lane] = precedes<kMax>(value, each[lane]) ? value : each[lane];
      }
    C extreme = each[0];
    for (int64_t lane = 1; lane < lanes; lane++)
      if (precedes<kMax>(each[lane], extreme)) extreme = each[lane];
    if (precedes<kMax>(extreme, found)) {
      const auto isExtreme = [&](C value) { return (value == extreme) | ((value != value) & (extreme != extreme)); };
      for (at = first;; at += lanes) {
        int32_t here = 0;
        for (int64_t lane = 0; lane < lanes; lane++) here |= isExtreme(load(x[at + lane]));
        if (here) break;
      }
      while (!isExtreme(load(x[at]))) at++;
      found = extreme;
    }
    first += count;
  }
  *best = found;
  *position = static_cast<int32_t>(at);
  if (first == to || found != found) return;
  C last;
  int32_t place;
  extremeByElement<kMax>(x, first, to, 1, &last, &place);
  if (!precedes<kMax>(last, found)) return;
  *best = last;
  *position = place;
}

/// Of `count` columns, `stride` elements apart: a row of all of them at a time.
template <bool kMax, typename T>
void extremesOfColumns(const T* x, int64_t from, int64_t to, int64_t stride, int64_t count, Compute<T>* best,
                       int32_t* position) {
  typedef Compute<T> C;
  if (count < kLanes<float>) {
    for (int64_t j = 0; j < count; j++) extremeByElement<kMax>(x + j, from, to, stride, best + j, position + j);
    return;
  }
  for (int64_t j = 0; j < count; j++) {
    best[j] = load(x[from * stride + j]);
    position[j] = static_cast<int32_t>(from);
  }
  for (int64_t row = from + 1; row < to; row++) {
    const T* values = x + row * stride;
#pragma GCC ivdep
    for (int64_t j = 0; j < count; j++) {
      const C value = load(values[j]);
      const bool first = precedes<kMax>(value, best[j]);
      best[j] = first ? value : best[j];
      position[j] = first ? static_cast<int32_t>(row) : position[j];
    }
  }
}
