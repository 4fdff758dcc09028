// Pooling along rows, of whatever is pooled: `Pool` says what becomes of two elements and of a window; included once
// per instruction-set level.

typedef uint8_t ByteVector __attribute__((vector_size(kVectorBytes)));
typedef int8_t SignedByteVector __attribute__((vector_size(kVectorBytes)));

/// A register full of elements, of f32 for the 16-bit floats.
template <typename T>
struct FullOf {
  typedef Vector<T> type;
};
template <>
struct FullOf<uint8_t> {
  typedef ByteVector type;
};
template <>
struct FullOf<int8_t> {
  typedef SignedByteVector type;
};
template <typename T>
using Full = typename FullOf<T>::type;
template <typename T>
constexpr int64_t kFull = kVectorBytes / sizeof(Compute<T>);

template <typename T>
HEDDLE_INLINE Full<T> loadFull(const T* from) {
  if constexpr (sizeof(T) == 1) {
    Full<T> values;
    __builtin_memcpy(&values, from, sizeof values);
    return values;
  } else {
    return loadVector(from);
  }
}
template <typename T>
HEDDLE_INLINE void storeFull(T* to, Full<T> values) {
  if constexpr (sizeof(T) == 1)
    __builtin_memcpy(to, &values, sizeof values);
  else
    storeVector(to, values);
}

/// Calls `visit` with the number of rows or taps, as a constant where they are few.
template <typename Visit>
HEDDLE_INLINE void withCount(int64_t count, Visit&& visit) {
  switch (count) {
    case 1: return visit(std::integral_constant<int64_t, 1>{});
    case 2: return visit(std::integral_constant<int64_t, 2>{});
    case 3: return visit(std::integral_constant<int64_t, 3>{});
    case 4: return visit(std::integral_constant<int64_t, 4>{});
    default: return visit(count);
  }
}

/// to[j]: the elements j of `count` rows, each `offsets[i]` behind `x`, as one.
template <typename Pool, typename T, typename To>
HEDDLE_INLINE void poolRows(const T* x, const int64_t* offsets, int64_t count, int64_t length, To* to) {
  withCount(
      count, [&](auto rows) __attribute__((always_inline)) {
        // Few are kept in registers: as far as the compiler knows, stores of bytes might change what `offsets` holds.
        constexpr int64_t few = std::is_same_v<decltype(rows), int64_t> ? 1 : 4;
        const T* near[few] = {x + offsets[0]};
        for (int64_t i = 1; i < few && i < rows; i++) near[i] = x + offsets[i];
        const auto pooled = [&](int64_t j) __attribute__((always_inline)) {
          for (int64_t i = 0; i < few && i < rows; i++) fetchPageAhead(near[i] + j);
          Full<T> all = Pool::first(loadFull(near[0] + j));
          for (int64_t i = 1; i < rows; i++) all = Pool::both(loadFull((i < few ? near[i] : x + offsets[i]) + j), all);
          storeFull(to + j, all);
        };
        if (length >= kFull<T>) {
          for (int64_t j = 0; j < length - kFull<T>; j += kFull<T>) pooled(j);
          return pooled(length - kFull<T>);
        }
        for (int64_t j = 0; j < length; j++) {
          Compute<T> all = Pool::first(load(x[offsets[0] + j]));
          for (int64_t i = 1; i < rows; i++) all = Pool::both(load(x[offsets[i] + j]), all);
          if constexpr (std::is_same_v<To, T>)
            to[j] = store<T>(all);
          else
            to[j] = all;
        }
      });
}

template <int kStride, typename V, size_t... kLane>
HEDDLE_INLINE V everyLane(const V* vectors, std::index_sequence<kLane...>) {
  constexpr int lanes = static_cast<int>(sizeof...(kLane));
  if constexpr (kStride == 1) return vectors[0];
  const V two = __builtin_shufflevector(vectors[0], vectors[1], static_cast<int>(kLane * kStride) % (2 * lanes)...);
  if constexpr (kStride == 2) return two;
  constexpr auto place = [](int lane) {
    const int element = lane * kStride;
    return element < 2 * lanes ? lane : element - lanes;
  };
  return __builtin_shufflevector(two, vectors[kStride - 1], place(kLane)...);
}

/// The elements row[tap gap] of each window as one; those of `kStride` vectors of neighbours first, then every
/// `kStride`-th of them.
template <int kStride, typename T, typename Pool, typename Taps>
HEDDLE_INLINE void poolWindows(const Pool& pool, const Compute<T>* row, Taps taps, int64_t gap, int64_t count, T* y) {
  typedef Compute<T> C;
  const auto pooled = [&](int64_t j) __attribute__((always_inline)) {
    Full<C> all[kStride];
#pragma GCC unroll 3
    for (int64_t v = 0; v < kStride; v++) {
      const C* from = row + j * kStride + v * kFull<C>;
      all[v] = loadFull(from);
      for (int64_t tap = 1; tap < taps; tap++) all[v] = Pool::both(loadFull(from + tap * gap), all[v]);
    }
    return everyLane<kStride>(all, std::make_index_sequence<static_cast<size_t>(kFull<C>)>());
  };
  if (count >= kFull<C>) {
    for (int64_t j = 0; j < count - kFull<C>; j += kFull<C>) storeFull(y + j, pool.window(pooled(j), j));
    const int64_t j = count - kFull<C>;
    return storeFull(y + j, pool.window(pooled(j), j));
  }
  C whole[kFull<C>];
  storeFull(whole, pooled(0));
  for (int64_t j = 0; j < count; j++) y[j] = store<T>(pool.window(whole[j], j));
}

/// One row of windows, from a padded row on.
template <typename T, typename Pool>
HEDDLE_INLINE void poolAlong(const Pool& pool, const Compute<T>* row, const PlaneWindows& w, T* y) {
  typedef Compute<T> C;
  withCount(
      w.kernel, [&](auto taps) __attribute__((always_inline)) {
        if (w.stride == 1) return poolWindows<1>(pool, row, taps, w.gap, w.count, y);
        if (w.stride == 2) return poolWindows<2>(pool, row, taps, w.gap, w.count, y);
        // Bytes of three vectors take more instructions to bring together than to pool.
        if constexpr (sizeof(T) > 1)
          if (w.stride == 3) return poolWindows<3>(pool, row, taps, w.gap, w.count, y);
        for (int64_t j = 0; j < w.count; j++) {
          const C* window = row + j * w.stride;
          C all = window[0];
          for (int64_t tap = 1; tap < taps; tap++) all = Pool::both(window[tap * w.gap], all);
          y[j] = store<T>(pool.window(all, j));
        }
      });
}

/// Rows [first, last) of a plane's windows, some at a time: across their rows into the held ones, whose padding is
/// there already, then along. Were it one at a time, loads would wait for the stores before them. `poolOf(row)` gives
/// the Pool.
template <typename T, typename PoolOf>
HEDDLE_INLINE void poolPlane(const PlaneWindows& windows, const T* x, int64_t first, int64_t last, Compute<T>* held,
                             T* y, PoolOf&& poolOf) {
  const PlaneWindows w = windows;  // that stores of bytes can not change
  using Pool = decltype(poolOf(int64_t{}));
  for (int64_t block = first; block < last; block += w.together) {
    const int64_t end = block + w.together < last ? block + w.together : last;
    Compute<T>* to = held + w.front;
    for (int64_t row = block; row < end; row++, to += w.length) {
      const int64_t begin = w.begins[row], rows = w.begins[row + 1] - begin;
      if (rows > 0)
        poolRows<Pool>(x, w.offsets + begin, rows, w.in, to);
      else
        for (int64_t j = 0; j < w.in; j++) to[j] = Pool::template nothing<Compute<T>>();
    }
    const Compute<T>* padded = held + w.front - w.padding;
    for (int64_t row = block; row < end; row++, padded += w.length)
      poolAlong(poolOf(row), padded, w, y + w.results[row]);
  }
}
