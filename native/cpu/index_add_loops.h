// Sums of rows chosen by position; included once per instruction-set level.

/// to = the sum of the rows of `width` at positions order[first] to order[last], in that order. Meanwhile the rows that
/// are summed up next, up to order[next], are fetched: nothing else foresees where they lie.
template <typename T>
void sumRowsAt(const T* rows, const int64_t* order, int64_t first, int64_t last, int64_t next, int64_t width, T* to) {
  typedef Compute<T> C;
  constexpr int64_t block = 64;
  constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(T));
  constexpr int64_t kMostAhead = 8;
  if (next > last + kMostAhead) next = last + kMostAhead;
  for (int64_t column = 0; column < width; column += block) {
    const int64_t columns = width - column < block ? width - column : block;
    for (int64_t i = last; i < next; i++)
      for (int64_t j = 0; j < columns; j += kLine) __builtin_prefetch(rows + order[i] * width + column + j);
    C sums[block] = {};
    for (int64_t i = first; i < last; i++) {
      const T* from = rows + order[i] * width + column;
      if (columns == block)
        for (int64_t j = 0; j < block; j++) sums[j] = static_cast<C>(sums[j] + load(from[j]));
      else
        for (int64_t j = 0; j < columns; j++) sums[j] = static_cast<C>(sums[j] + load(from[j]));
    }
    for (int64_t j = 0; j < columns; j++) to[column + j] = store<T>(sums[j]);
  }
}
