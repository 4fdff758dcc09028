// Elementary function loops in f32: the frequent ones in f32 polynomials, the rare ones in f64, rounded once.
#define HEDDLE_UNROLLED 1  // what is applied is long already
#include "apply.h"
#include "exponential.h"
#include "inverse_and_hyperbolic.h"
#include "special.h"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

struct Exp {
  HEDDLE_INLINE float apply(float x) { return expOf(x); }
};
struct Expm1 {
  HEDDLE_INLINE float apply(float x) { return expm1Of(x); }
};
struct Exp2 {
  HEDDLE_INLINE float apply(float x) { return exp2Of(x); }
};
struct Log {
  HEDDLE_INLINE float apply(float x) { return logOf(x); }
};
struct Log2 {
  HEDDLE_INLINE float apply(float x) { return log2Of(x); }
};
/// 1 + x is rounded; what it lost, over it, is the logarithm's correction to first order.
struct Log1p {
  HEDDLE_INLINE float apply(float x) {
    const float y = 1.0f + x;
    const float lost = x - (y - 1.0f);
    const bool inside = (y > 0.0f) & (y < __builtin_inff());
    const float value = logOf(y) + (inside ? lost / y : 0.0f);
    return x == 0.0f ? x : value;
  }
};

/// (e^2|x| - 1) / (e^2|x| + 1); from |x| = 10 on it rounds to 1.
struct Tanh {
  HEDDLE_INLINE float apply(float x) {
    const float magnitude = clamp(__builtin_fabsf(x), 0.0f, 10.0f);
    const float power = expm1Of(2.0f * magnitude);
    const float value = __builtin_copysignf(power / (power + 2.0f), x);
    // Below 2^-13 tanh x = x to the last bit; the quotient would lose subnormal bits.
    return magnitude < 0x1p-13f ? x : value;
  }
};
/// 1 / (1 + e^-|x|), or its complement e^-|x| / (1 + e^-|x|): neither overflows nor cancels.
struct Sigmoid {
  HEDDLE_INLINE float apply(float x) {
    const float power = expOf(-__builtin_fabsf(x));
    return (x < 0.0f ? power : 1.0f) / (1.0f + power);
  }
};
/// Up to 1: x p(x^2), a fit of erf(x)/x - 1; beyond: 1 - e^-q(x), a fit of -log erfc; from 4 on it rounds to 1.
struct Erf {
  HEDDLE_INLINE float apply(float x) {
    const float magnitude = clamp(__builtin_fabsf(x), 0.0f, 4.0f);
    const float square = x * x;
    float p = 7.889119538e-5f;
    p = p * square - 8.020841282e-4f;
    p = p * square + 5.189535340e-3f;
    p = p * square - 2.685444459e-2f;
    p = p * square + 1.128360018e-1f;
    p = p * square - 3.761262714e-1f;
    p = p * square + 1.283791659e-1f;
    const float near = p * x + x;
    float q = -1.725108288e-7f;
    q = q * magnitude + 2.417179382e-5f;
    q = q * magnitude - 4.566796495e-4f;
    q = q * magnitude + 4.257615903e-3f;
    q = q * magnitude - 2.532066090e-2f;
    q = q * magnitude + 1.085680592e-1f;
    q = q * magnitude + 6.330979815e-1f;
    q = q * magnitude + 1.129634203f;
    q = q * magnitude - 1.990083582e-4f;
    const float far = __builtin_copysignf(1.0f - expOf(-q), x);
    return magnitude < 1.0f ? near : far;
  }
};

// Up to 2^20 the quotient by pi/2 has at most 20 bits, so its product with the 33 high bits is exact in f64. Beyond,
// libm reduces the argument; such elements are rare and found per block.
constexpr float kReducible = 0x1p20f;

HEDDLE_INLINE double sinTurned(float x, int64_t quarter) {
  const double y = static_cast<double>(x);
  const double shifted = y * 0x1.45f306dc9c883p-1 + kWholeDouble;
  const double n = shifted - kWholeDouble;
  const double r = (y - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34;
  const int64_t turn = bitsOf(shifted) + quarter;
  const double z = r * r;
  double s = -1.0 / 39916800.0;
  s = s * z + 1.0 / 362880.0;
  s = s * z - 1.0 / 5040.0;
  s = s * z + 1.0 / 120.0;
  s = s * z - 1.0 / 6.0;
  s = s * z * r + r;
  double c = 1.0 / 479001600.0;
  c = c * z - 1.0 / 3628800.0;
  c = c * z + 1.0 / 40320.0;
  c = c * z - 1.0 / 720.0;
  c = c * z + 1.0 / 24.0;
  c = c * z - 0.5;
  c = c * z + 1.0;
  const double value = turn & 1 ? c : s;
  return turn & 2 ? -value : value;
}
struct Sin {
  HEDDLE_INLINE float apply(float x) { return x == 0.0f ? x : static_cast<float>(sinTurned(x, 0)); }
  HEDDLE_INLINE float exactly(float x) { return sinf(x); }
};
struct Cos {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(sinTurned(x, 1)); }
  HEDDLE_INLINE float exactly(float x) { return cosf(x); }
};
struct Tan {
  HEDDLE_INLINE float apply(float x) { return x == 0.0f ? x : static_cast<float>(sinTurned(x, 0) / sinTurned(x, 1)); }
  HEDDLE_INLINE float exactly(float x) { return tanf(x); }
};
template <typename F>
void trigonometric(void* out, const void* a, const void*, const void*, int64_t n) {
  constexpr int64_t kPart = 64;  // copied first, because out may be the operand's memory
  float* y = static_cast<float*>(out);
  const float* x = static_cast<const float*>(a);
  for (int64_t begin = 0; begin < n; begin += kPart) {
    const int64_t size = n - begin < kPart ? n - begin : kPart;
    float part[kPart];
    int32_t beyond = 0;
    for (int64_t i = 0; i < size; i++) {
      part[i] = x[begin + i];
      beyond |= !(__builtin_fabsf(part[i]) <= kReducible);
    }
#pragma GCC ivdep
    for (int64_t i = 0; i < size; i++) y[begin + i] = F::apply(part[i]);
    if (!beyond) continue;
    for (int64_t i = 0; i < size; i++)
      if (!(__builtin_fabsf(part[i]) <= kReducible)) y[begin + i] = F::exactly(part[i]);
  }
}

// The rare ones in f64; erfc, erfinv, lgamma and digamma by element, for they branch.
struct Asin {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(asinOf(static_cast<double>(x))); }
};
struct Acos {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(acosOf(static_cast<double>(x))); }
};
struct Atan {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(atanOf(static_cast<double>(x))); }
};
struct Sinh {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(sinhOf(static_cast<double>(x))); }
};
struct Cosh {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(coshOf(static_cast<double>(x))); }
};
struct Asinh {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(asinhOf(static_cast<double>(x))); }
};
struct Acosh {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(acoshOf(static_cast<double>(x))); }
};
struct Atanh {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(atanhOf(static_cast<double>(x))); }
};
struct Erfc {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(erfc(static_cast<double>(x))); }
};
struct Erfinv {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(inverseErf(static_cast<double>(x))); }
};
struct Lgamma {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(logGamma(static_cast<double>(x))); }
};
struct Digamma {
  HEDDLE_INLINE float apply(float x) { return static_cast<float>(digamma(static_cast<double>(x))); }
};
struct Pow {
  HEDDLE_INLINE float apply(float a, float b) { return powf(a, b); }
};
struct Atan2 {
  HEDDLE_INLINE float apply(float a, float b) {
    return static_cast<float>(atan2Of(static_cast<double>(a), static_cast<double>(b)));
  }
};

template <typename F>
void add(Loops& table, Opcode op) {
  addUnary<F, float, float>(table, op, RegisterClass::f32);
}

}  // namespace

void addFunctions(Loops& table) {
  add<Exp>(table, Opcode::exp);
  add<Expm1>(table, Opcode::expm1);
  add<Exp2>(table, Opcode::exp2);
  add<Log>(table, Opcode::log);
  add<Log1p>(table, Opcode::log1p);
  add<Log2>(table, Opcode::log2);
  add<Asin>(table, Opcode::asin);
  add<Acos>(table, Opcode::acos);
  add<Atan>(table, Opcode::atan);
  add<Sinh>(table, Opcode::sinh);
  add<Cosh>(table, Opcode::cosh);
  add<Tanh>(table, Opcode::tanh);
  add<Asinh>(table, Opcode::asinh);
  add<Acosh>(table, Opcode::acosh);
  add<Atanh>(table, Opcode::atanh);
  add<Erf>(table, Opcode::erf);
  add<Erfc>(table, Opcode::erfc);
  add<Erfinv>(table, Opcode::erfinv);
  add<Lgamma>(table, Opcode::lgamma);
  add<Digamma>(table, Opcode::digamma);
  add<Sigmoid>(table, Opcode::sigmoid);
  const int f32 = static_cast<int>(RegisterClass::f32);
  table.unary[static_cast<int>(Opcode::sin)][f32] = trigonometric<Sin>;
  table.unary[static_cast<int>(Opcode::cos)][f32] = trigonometric<Cos>;
  table.unary[static_cast<int>(Opcode::tan)][f32] = trigonometric<Tan>;
  addBinary<Pow, float, float>(table, Opcode::pow, RegisterClass::f32);
  addBinary<Atan2, float, float>(table, Opcode::atan2, RegisterClass::f32);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
