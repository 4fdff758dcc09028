// Vectors of 64 bytes for one instruction-set level, with loads, stores, sums and exp; included by for_each_level.h only.

#define HEDDLE_INLINE static inline __attribute__((always_inline))

typedef float FloatVector __attribute__((vector_size(64)));
typedef double DoubleVector __attribute__((vector_size(64)));
typedef int32_t IntVector __attribute__((vector_size(64)));
typedef uint32_t BitVector __attribute__((vector_size(64)));
typedef int64_t LongVector __attribute__((vector_size(64)));
typedef uint16_t HalfVector __attribute__((vector_size(32)));

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
constexpr int64_t kLanes = std::is_same_v<T, double> ? 8 : 16;

template <typename V, typename S>
HEDDLE_INLINE V broadcast(S value) {
  // x - 0 is x for every x, so this costs nothing; x + 0 would turn -0 into 0.
  return value - V{};
}

HEDDLE_INLINE FloatVector loadVector(const float* from) {
  FloatVector value;
  __builtin_memcpy(&value, from, 64);
  return value;
}
HEDDLE_INLINE DoubleVector loadVector(const double* from) {
  DoubleVector value;
  __builtin_memcpy(&value, from, 64);
  return value;
}
HEDDLE_INLINE FloatVector loadVector(const BFloat16* from) {
  HalfVector bits;
  __builtin_memcpy(&bits, from, 32);
  return (FloatVector)(__builtin_convertvector(bits, BitVector) << 16);
}
HEDDLE_INLINE FloatVector loadVector(const Float16* from) {
  HalfVector half;
  __builtin_memcpy(&half, from, 32);
  const BitVector bits = __builtin_convertvector(half, BitVector);
  const BitVector magnitude = (bits & 0x7fffu) << 13;
  const BitVector finite = (BitVector)((FloatVector)magnitude * 0x1p112f);
  const BitVector special = magnitude | 0x7f800000u;
  const BitVector value = (bits & 0x7c00u) == 0x7c00u ? special : finite;
  return (FloatVector)(value | ((bits & 0x8000u) << 16));
}

HEDDLE_INLINE void storeVector(float* to, FloatVector value) { __builtin_memcpy(to, &value, 64); }
HEDDLE_INLINE void storeVector(double* to, DoubleVector value) { __builtin_memcpy(to, &value, 64); }
HEDDLE_INLINE void storeVector(BFloat16* to, FloatVector value) {
  const BitVector bits = (BitVector)value;
  const BitVector rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const BitVector quiet = (bits >> 16) | 0x40u;
  const BitVector result = (bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
  const HalfVector half = __builtin_convertvector(result, HalfVector);
  __builtin_memcpy(to, &half, 32);
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
  __builtin_memcpy(to, &half, 32);
}

/// The first `count` elements; the lanes behind them are zero.
template <typename T>
HEDDLE_INLINE Vector<T> loadPart(const T* from, int64_t count) {
  T lanes[kLanes<T>] = {};
  __builtin_memcpy(lanes, from, static_cast<size_t>(count) * sizeof(T));
  return loadVector(lanes);
}
template <typename T>
HEDDLE_INLINE void storePart(T* to, Vector<T> value, int64_t count) {
  T lanes[kLanes<T>];
  storeVector(lanes, value);
  __builtin_memcpy(to, lanes, static_cast<size_t>(count) * sizeof(T));
}

/// A fixed tree, so the result depends on the lanes alone.
HEDDLE_INLINE float sumLanes(FloatVector value) {
  float lanes[16];
  storeVector(lanes, value);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}
HEDDLE_INLINE double sumLanes(DoubleVector value) {
  double lanes[8];
  storeVector(lanes, value);
  for (int width = 4; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}
/// NaN lanes win.
template <typename V>
HEDDLE_INLINE V maxVector(V a, V b) {
  return a > b ? a : (b != b ? b : (a != a ? a : b));
}
template <typename S, typename V>
HEDDLE_INLINE S maxLanes(V value) {
  constexpr int count = sizeof(V) / sizeof(S);
  S result = value[0];
  for (int i = 1; i < count; i++) result = result > value[i] || result != result ? result : S(value[i]);
  return result;
}

/// exp(x) by x = n ln 2 + r, |r| <= ln 2 / 2, with 2^n made in the exponent in two factors so that subnormal
/// results round correctly; the polynomial is the Taylor series cut where its tail is under half an ULP.
HEDDLE_INLINE FloatVector expVector(FloatVector x) {
  const FloatVector low = broadcast<FloatVector>(-104.0f);
  const FloatVector high = broadcast<FloatVector>(89.0f);
  FloatVector bounded = x < low ? low : x;
  bounded = bounded > high ? high : bounded;
  const FloatVector magic = broadcast<FloatVector>(0x1.8p23f);
  const FloatVector shifted = bounded * 0x1.715476p0f + magic;
  const FloatVector n = shifted - magic;
  const IntVector integer = (IntVector)shifted - 0x4b400000;
  FloatVector r = bounded - n * 0x1.62e4p-1f;
  r = r - n * 0x1.7f7d1cp-20f;
  FloatVector p = broadcast<FloatVector>(1.0f / 5040);
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const IntVector half = integer >> 1;
  const FloatVector first = (FloatVector)((half + 127) << 23);
  const FloatVector second = (FloatVector)((integer - half + 127) << 23);
  const FloatVector result = p * first * second;
  return x != x ? x : result;
}

HEDDLE_INLINE DoubleVector expVector(DoubleVector x) {
  const DoubleVector low = broadcast<DoubleVector>(-746.0);
  const DoubleVector high = broadcast<DoubleVector>(710.0);
  DoubleVector bounded = x < low ? low : x;
  bounded = bounded > high ? high : bounded;
  const DoubleVector magic = broadcast<DoubleVector>(0x1.8p52);
  const DoubleVector shifted = bounded * 0x1.71547652b82fep0 + magic;
  const DoubleVector n = shifted - magic;
  const LongVector integer = (LongVector)shifted - 0x4338000000000000;
  DoubleVector r = bounded - n * 0x1.62e42fefap-1;
  r = r - n * 0x1.cf79abc9e3b39p-40;
  DoubleVector p = broadcast<DoubleVector>(1.0 / 6227020800.0);
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const LongVector half = integer >> 1;
  const DoubleVector first = (DoubleVector)((half + 1023) << 52);
  const DoubleVector second = (DoubleVector)((integer - half + 1023) << 52);
  const DoubleVector result = p * first * second;
  return x != x ? x : result;
}

/// exp for softmax: results under the smallest normal number are zero, which spares the slow subnormal arithmetic of the
/// many masked positions. Arguments are at most a little above 0.
HEDDLE_INLINE FloatVector expNegative(FloatVector x) {
  const FloatVector low = broadcast<FloatVector>(-87.0f);
  const FloatVector bounded = x < low ? low : x;
  const FloatVector magic = broadcast<FloatVector>(0x1.8p23f);
  const FloatVector shifted = bounded * 0x1.715476p0f + magic;
  const FloatVector n = shifted - magic;
  FloatVector r = bounded - n * 0x1.62e4p-1f;
  r = r - n * 0x1.7f7d1cp-20f;
  FloatVector p = broadcast<FloatVector>(1.0f / 720);
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const FloatVector result = p * (FloatVector)(((IntVector)shifted + 127) << 23);
  return x < low ? FloatVector{} : result;
}
HEDDLE_INLINE DoubleVector expNegative(DoubleVector x) {
  const DoubleVector low = broadcast<DoubleVector>(-708.0);
  const DoubleVector result = expVector(x < low ? low : x);
  return x < low ? DoubleVector{} : result;
}

/// Calls `visit(j, count)` for each vector of a row; `count` is less than a whole vector at the end only.
template <typename T, typename Visit>
HEDDLE_INLINE void eachVector(int64_t size, Visit&& visit) {
  int64_t j = 0;
  for (; j + kLanes<T> <= size; j += kLanes<T>) visit(j, kLanes<T>);
  if (j < size) visit(j, size - j);
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
  for (int64_t i = count; i < kLanes<T>; i++) value[i] = fill;
  return value;
}
/// The sum of `term(j, count)` over a row, in blocks so that the rounding error of long rows stays small.
template <typename T, typename Term>
HEDDLE_INLINE Compute<T> sumRow(int64_t size, Term&& term) {
  constexpr int64_t block = 64 * kLanes<T>;
  Vector<T> total = {};
  for (int64_t first = 0; first < size; first += block) {
    Vector<T> sum = {};
    eachVector<T>(size - first < block ? size - first : block,
                  [&](int64_t j, int64_t count) __attribute__((always_inline)) { sum += term(first + j, count); });
    total += sum;
  }
  return sumLanes(total);
}
