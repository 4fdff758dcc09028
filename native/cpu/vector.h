// Vectors as wide as the registers of one instruction-set level, with loads, stores and sums; included by
// for_each_level.h only.

#define HEDDLE_INLINE static inline __attribute__((always_inline))

// GCC computes a selection between vectors wider than registers element by element.
constexpr int kVectorBytes = HEDDLE_VECTOR_BYTES;

typedef float FloatVector __attribute__((vector_size(kVectorBytes)));
typedef double DoubleVector __attribute__((vector_size(kVectorBytes)));
typedef int32_t IntVector __attribute__((vector_size(kVectorBytes)));
typedef uint32_t BitVector __attribute__((vector_size(kVectorBytes)));
typedef int64_t LongVector __attribute__((vector_size(kVectorBytes)));
typedef int32_t HalfIntVector __attribute__((vector_size(kVectorBytes / 2)));
typedef uint16_t HalfVector __attribute__((vector_size(kVectorBytes / 2)));

/// The vector that elements of T are computed in.
template <typename T>
struct VectorOf {
  typedef FloatVector type;
};
template <>
struct VectorOf<double> {
  typedef DoubleVector type;
};
template <typename T>
using Vector = typename VectorOf<T>::type;

/// Elements of T that fill one vector.
template <typename T>
constexpr int64_t kLanes = kVectorBytes / (std::is_same_v<T, double> ? 8 : 4);

template <typename V, typename S>
HEDDLE_INLINE V broadcast(S value) {
  // x - 0 is x for every x, so this costs nothing; x + 0 would turn -0 into 0.
  return value - V{};
}

HEDDLE_INLINE FloatVector loadVector(const float* from) {
  FloatVector value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
HEDDLE_INLINE DoubleVector loadVector(const double* from) {
  DoubleVector value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
HEDDLE_INLINE FloatVector loadVector(const BFloat16* from) {
  HalfVector bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return (FloatVector)(__builtin_convertvector(bits, BitVector) << 16);
}
HEDDLE_INLINE FloatVector loadVector(const Float16* from) {
  HalfVector half;
  __builtin_memcpy(&half, from, sizeof half);
  const BitVector bits = __builtin_convertvector(half, BitVector);
  const BitVector magnitude = (bits & 0x7fffu) << 13;
  const BitVector finite = (BitVector)((FloatVector)magnitude * 0x1p112f);
  const BitVector special = magnitude | 0x7f800000u;
  const BitVector value = (bits & 0x7c00u) == 0x7c00u ? special : finite;
  return (FloatVector)(value | ((bits & 0x8000u) << 16));
}

HEDDLE_INLINE void storeVector(float* to, FloatVector value) { __builtin_memcpy(to, &value, sizeof value); }
HEDDLE_INLINE void storeVector(double* to, DoubleVector value) { __builtin_memcpy(to, &value, sizeof value); }
HEDDLE_INLINE void storeVector(BFloat16* to, FloatVector value) {
  const BitVector bits = (BitVector)value;
  const BitVector rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const BitVector quiet = (bits >> 16) | 0x40u;
  const BitVector result = (bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
  const HalfVector half = __builtin_convertvector(result, HalfVector);
  __builtin_memcpy(to, &half, sizeof half);
}
HEDDLE_INLINE void storeVector(Float16* to, FloatVector value) {
  const BitVector bits = (BitVector)value;
  const BitVector magnitude = bits & 0x7fffffffu;
  const BitVector small = (BitVector)((FloatVector)magnitude + 0.5f) - 0x3f000000u;
  const BitVector rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  const BitVector infinite = BitVector{} + 0x7c00u;
  const BitVector notANumber = BitVector{} + 0x7e00u;
  BitVector result = rounded >= 0x47800000u ? infinite : (rounded >> 13) - (112u << 10);
  result = magnitude < 0x38800000u ? small : result;
  result = magnitude > 0x7f800000u ? notANumber : result;
  const HalfVector half = __builtin_convertvector(result | ((bits >> 16) & 0x8000u), HalfVector);
  __builtin_memcpy(to, &half, sizeof half);
}

template <typename V, int... kLane>
HEDDLE_INLINE V laneNumbers(std::integer_sequence<int, kLane...>) {
  return V{kLane...};
}
/// All bits of the lanes before number `count`.
template <typename V>
HEDDLE_INLINE auto lanesBefore(int64_t count) {
  typedef decltype(V{} == V{}) Mask;
  typedef std::remove_cvref_t<decltype(Mask{}[0])> Number;
  constexpr int lanes = sizeof(Mask) / sizeof(Number);
  return laneNumbers<Mask>(std::make_integer_sequence<int, lanes>()) < static_cast<Number>(count);
}

/// The first `count` elements; the lanes behind them are zero. By way of the stack, which costs a row of a few elements
/// more than all else, only where the processor has no masks for them.
template <typename T>
HEDDLE_INLINE Vector<T> loadPart(const T* from, int64_t count) {
#if HEDDLE_VECTOR_BYTES == 64
  const auto mask = static_cast<uint16_t>((1u << count) - 1);
  if constexpr (std::is_same_v<T, float>) {
    return __builtin_ia32_loadups512_mask(from, FloatVector{}, mask);
  } else if constexpr (std::is_same_v<T, double>) {
    return __builtin_ia32_loadupd512_mask(from, DoubleVector{}, static_cast<uint8_t>(mask));
  } else {
    typedef short Shorts __attribute__((vector_size(32)));
    T lanes[kLanes<T>];
    const Shorts bits = __builtin_ia32_loaddquhi256_mask(reinterpret_cast<const short*>(from), Shorts{}, mask);
    __builtin_memcpy(lanes, &bits, sizeof bits);
    return loadVector(lanes);
  }
#else
#if HEDDLE_VECTOR_BYTES == 32
  typedef long long Longs __attribute__((vector_size(32)));
  if constexpr (std::is_same_v<T, float>)
    return __builtin_ia32_maskloadps256(reinterpret_cast<const FloatVector*>(from), lanesBefore<FloatVector>(count));
  if constexpr (std::is_same_v<T, double>)
    return __builtin_ia32_maskloadpd256(reinterpret_cast<const DoubleVector*>(from),
                                        (Longs)lanesBefore<DoubleVector>(count));
#endif
  T lanes[kLanes<T>] = {};
  __builtin_memcpy(lanes, from, static_cast<size_t>(count) * sizeof(T));
  return loadVector(lanes);
#endif
}
template <typename T>
HEDDLE_INLINE void storePart(T* to, Vector<T> value, int64_t count) {
#if HEDDLE_VECTOR_BYTES == 64
  const auto mask = static_cast<uint16_t>((1u << count) - 1);
  if constexpr (std::is_same_v<T, float>) {
    __builtin_ia32_storeups512_mask(to, value, mask);
  } else if constexpr (std::is_same_v<T, double>) {
    __builtin_ia32_storeupd512_mask(to, value, static_cast<uint8_t>(mask));
  } else {
    typedef short Shorts __attribute__((vector_size(32)));
    T lanes[kLanes<T>];
    storeVector(lanes, value);
    Shorts bits;
    __builtin_memcpy(&bits, lanes, sizeof bits);
    __builtin_ia32_storedquhi256_mask(reinterpret_cast<short*>(to), bits, mask);
  }
#else
#if HEDDLE_VECTOR_BYTES == 32
  typedef long long Longs __attribute__((vector_size(32)));
  if constexpr (std::is_same_v<T, float>)
    return __builtin_ia32_maskstoreps256(reinterpret_cast<FloatVector*>(to), lanesBefore<FloatVector>(count), value);
  if constexpr (std::is_same_v<T, double>)
    return __builtin_ia32_maskstorepd256(reinterpret_cast<DoubleVector*>(to), (Longs)lanesBefore<DoubleVector>(count),
                                         value);
#endif
  T lanes[kLanes<T>];
  storeVector(lanes, value);
  __builtin_memcpy(to, lanes, static_cast<size_t>(count) * sizeof(T));
#endif
}

/// Each lane gets that of the one `kStep` further on.
template <int kStep, typename V, int... kLane>
HEDDLE_INLINE V lanesAhead(V value, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(value, value, (kLane + kStep) % int{sizeof...(kLane)}...);
}
/// Combines the lanes in a fixed tree, so that the result depends on them alone.
template <int kStep, typename V, typename Combine>
HEDDLE_INLINE auto foldLanes(V value, Combine&& combine) {
  constexpr std::make_integer_sequence<int, sizeof(V) / sizeof(value[0])> lanes;
  const V folded = combine(value, lanesAhead<kStep>(value, lanes));
  if constexpr (kStep > 1)
    return foldLanes<kStep / 2>(folded, combine);
  else
    return std::remove_cvref_t<decltype(folded[0])>(folded[0]);
}
template <typename V>
HEDDLE_INLINE auto sumLanes(V value) {
  return foldLanes<sizeof(V) / sizeof(value[0]) / 2>(
      value, [](V a, V b) __attribute__((always_inline)) { return a + b; });
}
/// NaN lanes win.
template <typename S, typename V>
HEDDLE_INLINE S maxLanes(V value) {
  return foldLanes<sizeof(V) / sizeof(S) / 2>(
      value, [](V a, V b) __attribute__((always_inline)) { return (a > b) | (a != a) ? a : b; });
}

#include "exponential_loops.h"
#include "page_ahead.h"

template <>
struct NumberOf<FloatVector> : FloatParts<float> {
  typedef IntVector Bits;
};
template <>
struct NumberOf<DoubleVector> : FloatParts<double> {
  typedef LongVector Bits;
};

template <int kStride, int kPhase, typename T, size_t... kLane>
HEDDLE_INLINE Vector<T> loadLanes(const T* from, std::index_sequence<kLane...>) {
  static_assert(kStride >= 1 && kStride <= 3 && kPhase < kStride);
  constexpr int lanes = kLanes<T>;
  const Vector<T> first = loadVector(from);
  if constexpr (kStride == 1) return first;
  const Vector<T> two = __builtin_shufflevector(first, loadVector(from + lanes),
                                                static_cast<int>(kLane * kStride + kPhase) % (2 * lanes)...);
  if constexpr (kStride == 2) return two;
  constexpr auto place = [](int lane) {
    const int element = lane * kStride + kPhase;
    return element < 2 * lanes ? lane : element - lanes;
  };
  return __builtin_shufflevector(two, loadVector(from + (kStride - 1) * lanes), place(kLane)...);
}
/// Of the elements of `kStride` vectors every `kStride`-th, from `kPhase` on.
template <int kStride, int kPhase = 0, typename T>
HEDDLE_INLINE Vector<T> loadEvery(const T* from) {
  return loadLanes<kStride, kPhase>(from, std::make_index_sequence<static_cast<size_t>(kLanes<T>)>());
}

/// Calls `visit(j, count)` for each vector of a row; `count` is less than a whole vector at the end only.
template <typename T, typename Visit>
HEDDLE_INLINE void eachVector(int64_t size, Visit&& visit) {
  int64_t j = 0;
  for (; j + kLanes<T> <= size; j += kLanes<T>) visit(j, kLanes<T>);
  if (j < size) visit(j, size - j);
}
/// Calls `visit(j)` for the vectors of a row, the last of which lies over the one before where the row ends amid it,
/// and returns the row's size; 0 where it is shorter than one.
template <typename T, typename Visit>
HEDDLE_INLINE int64_t eachWholeVector(int64_t size, Visit&& visit) {
  if (size < kLanes<T>) return 0;
  for (int64_t j = 0; j < size - kLanes<T>; j += kLanes<T>) visit(j);
  visit(size - kLanes<T>);
  return size;
}
template <typename T>
HEDDLE_INLINE Vector<T> loadSome(const T* from, int64_t count) {
  return count == kLanes<T> ? loadVector(from) : loadPart(from, count);
}
template <typename T>
HEDDLE_INLINE void storeSome(T* to, Vector<T> value, int64_t count) {
  if (count == kLanes<T>)
    storeVector(to, value);
  else
    storePart(to, value, count);
}
/// Lanes from `count` on become `fill`.
template <typename T>
HEDDLE_INLINE Vector<T> fillBehind(Vector<T> value, int64_t count, Compute<T> fill) {
  return lanesBefore<Vector<T>>(count) ? value : broadcast<Vector<T>>(fill);
}
/// The sum of `term(j, count)` over a row, in blocks so that the rounding error of long rows stays small. `kChains`
/// sums side by side, where a term costs less than an addition takes to be done.
template <typename T, int kChains = 1, typename Term>
HEDDLE_INLINE Compute<T> sumRow(int64_t size, Term&& term) {
  constexpr int64_t block = 64 * kLanes<T>;
  Vector<T> total = {};
  for (int64_t first = 0; first < size; first += block) {
    const int64_t end = size - first < block ? size : first + block;
    Vector<T> sums[kChains] = {};
    int64_t start = first;
    if constexpr (kChains > 1) {
      for (; start + kChains * kLanes<T> <= end; start += kChains * kLanes<T>)
#pragma GCC unroll 4
        for (int chain = 0; chain < kChains; chain++) sums[chain] += term(start + chain * kLanes<T>, kLanes<T>);
    }
    eachVector<T>(
        end - start, [&](int64_t j, int64_t count)
                         __attribute__((always_inline)) { sums[0] += term(start + j, count); });
#pragma GCC unroll 4
    for (int half = kChains / 2; half > 0; half /= 2)
      for (int chain = 0; chain < half; chain++) sums[chain] += sums[chain + half];
    total += sums[0];
  }
  return sumLanes(total);
}
