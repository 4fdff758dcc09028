// exp of a number, in loops that become vectors, and of a vector; included once per instruction-set level, by the loops
// of fused programs and by vector.h.

/// How a floating type is taken apart. The high part of ln 2 has enough trailing zeros for its product with an exponent
/// to be exact; adding `whole`, 1.5 * 2^fraction, leaves the nearest whole number in the low bits of the sum.
template <typename Element>
struct FloatParts;
template <>
struct FloatParts<float> {
  typedef float Element;
  static constexpr int fraction = 23, bias = 127;
  static constexpr float ln2High = 0.693359375f, ln2Low = -2.12194440e-4f, perLn2 = 1.44269504f, whole = 12582912.0f;
  // Beyond these exp is 0 or infinite, and below `normal` not a normal number.
  static constexpr float low = -105.0f, high = 89.5f, normal = -87.0f;
};
template <>
struct FloatParts<double> {
  typedef double Element;
  static constexpr int fraction = 52, bias = 1023;
  static constexpr double ln2High = 0x1.62e42feep-1, ln2Low = 0x1.a39ef35793c76p-33, perLn2 = 1.4426950408889634,
                          whole = 6755399441055744.0;
  static constexpr double low = -750.0, high = 710.5, normal = -708.0;
};

/// The parts of a number, or of the numbers of a vector, and the integers of their width.
template <typename V>
struct NumberOf;
template <>
struct NumberOf<float> : FloatParts<float> {
  typedef int32_t Bits;
};
template <>
struct NumberOf<double> : FloatParts<double> {
  typedef int64_t Bits;
};
template <typename V>
using BitsOf = typename NumberOf<V>::Bits;

/// x clamped to [low, high]; NaN stays.
template <typename V>
HEDDLE_INLINE V clamp(V x, V low, V high) {
  const V y = x < low ? low : x;
  return y > high ? high : y;
}

/// 2^n for n that are exponents of normal numbers.
template <typename V>
HEDDLE_INLINE V powerOfTwo(BitsOf<V> n) {
  return __builtin_bit_cast(V, (n + NumberOf<V>::bias) << NumberOf<V>::fraction);
}

/// 2^n * x for whole |n| <= 252 (f32) or 2044 (f64), in two steps so that subnormal results round once.
template <typename V>
HEDDLE_INLINE V scale(V x, BitsOf<V> n) {
  const BitsOf<V> half = n >> 1;
  return x * powerOfTwo<V>(half) * powerOfTwo<V>(n - half);
}

/// The r of x = n ln 2 + r, |r| <= ln 2 / 2, and n.
template <typename V>
HEDDLE_INLINE V reduceByLn2(V x, BitsOf<V>& n) {
  typedef NumberOf<V> N;
  const V shifted = x * N::perLn2 + N::whole;
  const V count = shifted - N::whole;
  n = __builtin_bit_cast(BitsOf<V>, shifted) - __builtin_bit_cast(BitsOf<typename N::Element>, N::whole);
  return (x - count * N::ln2High) - count * N::ln2Low;
}

/// The p of e^r = 1 + r + p r^2 for |r| <= ln 2 / 2.
template <typename V>
HEDDLE_INLINE V expTail(V r) {
  if constexpr (NumberOf<V>::fraction == 23) {
    // A minimax fit (Lawson-weighted least squares on Chebyshev nodes).
    V p = r * 1.395062877e-3f + 8.368970137e-3f;
    p = p * r + 4.166620374e-2f;
    p = p * r + 1.666651817e-1f;
    return p * r + 5.000000096e-1f;
  } else {
    // The Taylor series to r^13; the next term is below 2^-57 of the sum.
    V p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    return p * r + 0.5;
  }
}
template <typename V>
HEDDLE_INLINE V expReduced(V r) {
  const typename NumberOf<V>::Element one = 1;
  return (expTail(r) * r + one) * r + one;
}
template <typename V>
HEDDLE_INLINE V expm1Reduced(V r) {
  return expTail(r) * r * r + r;
}

template <typename V>
HEDDLE_INLINE V expOf(V x) {
  BitsOf<V> n;
  const V r = reduceByLn2(clamp(x, NumberOf<V>::low - V{}, NumberOf<V>::high - V{}), n);
  return scale(expReduced(r), n);
}

/// exp for softmax: results under the smallest normal number are zero, which spares the slow subnormal arithmetic of
/// the many masked positions. Arguments are at most a little above 0.
template <typename V>
HEDDLE_INLINE V expNegative(V x) {
  const V low = NumberOf<V>::normal - V{};
  BitsOf<V> n;
  const V r = reduceByLn2(x < low ? low : x, n);
  const V result = expReduced(r) * powerOfTwo<V>(n);
  return x < low ? V{} : result;
}
