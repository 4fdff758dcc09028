// Floor division and modulo loops, as in Python: quotients are rounded down, remainders have the sign of the divisor.
#define HEDDLE_UNROLLED 1  // what is applied is long already
#include "apply.h"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

/// Exact where a / b would round up to the next integer.
HEDDLE_INLINE double floorQuotient(double a, double b) {
  if (b == 0.0) return a / b;
  const double rest = fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0.0 && (rest < 0.0) != (b < 0.0)) quotient -= 1.0;
  if (quotient == 0.0) return __builtin_copysign(0.0, a / b);
  const double down = __builtin_floor(quotient);
  return quotient - down > 0.5 ? down + 1.0 : down;
}
/// A zero has the sign of the divisor too.
HEDDLE_INLINE double floorRemainder(double a, double b) {
  const double rest = fmod(a, b);
  if (rest == 0.0) return __builtin_copysign(0.0, b);
  return (rest < 0.0) != (b < 0.0) ? rest + b : rest;
}

// The quotient of the lowest integer by -1 does not fit and would trap; negation wraps instead.
HEDDLE_INLINE int64_t floorQuotient(int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (b == -1) return static_cast<int64_t>(uint64_t{0} - static_cast<uint64_t>(a));
  return a / b - ((a % b != 0) && ((a < 0) != (b < 0)) ? 1 : 0);
}
HEDDLE_INLINE int64_t floorRemainder(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return 0;
  const int64_t rest = a % b;
  return rest + (rest != 0 && ((rest < 0) != (b < 0)) ? b : 0);
}

/// Quotients of i32 are at least 2^-31 from the next integer, more than f64 rounds them by. Adding 1.5 * 2^52 leaves an
/// integer in the low bits of the sum, from where that of the lowest by -1 wraps.
HEDDLE_INLINE int32_t floorQuotient(int32_t a, int32_t b) {
  const double quotient = __builtin_floor(static_cast<double>(a) / static_cast<double>(b));
  return b == 0 ? 0 : static_cast<int32_t>(bitsOf(quotient + 0x1.8p52));
}

struct FloorDiv {
  HEDDLE_INLINE double apply(double a, double b) { return floorQuotient(a, b); }
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) { return floorQuotient(a, b); }
  HEDDLE_INLINE int64_t apply(int64_t a, int64_t b) { return floorQuotient(a, b); }
  HEDDLE_INLINE double moderate(double a, double b) { return __builtin_floor(a / b); }
};
struct Mod {
  HEDDLE_INLINE double apply(double a, double b) { return floorRemainder(a, b); }
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) {
    const uint32_t whole = static_cast<uint32_t>(floorQuotient(a, b)) * static_cast<uint32_t>(b);
    return b == 0 ? 0 : static_cast<int32_t>(static_cast<uint32_t>(a) - whole);
  }
  HEDDLE_INLINE int64_t apply(int64_t a, int64_t b) { return floorRemainder(a, b); }
  HEDDLE_INLINE double moderate(double a, double b) {
    const double rest = a - __builtin_floor(a / b) * b;
    return rest == 0.0 ? __builtin_copysign(0.0, b) : rest;
  }
};

/// Quotients of f32 below 2^29 are further from the next integer than f64 rounds them, and their integers times the
/// divisor have the 53 bits of f64: `moderate` is exact, without branches. A power of two less leaves room for the
/// rounding of this test, which zeros, infinities and NaN fail.
HEDDLE_INLINE bool isModerate(float a, float b) {
  const float divisor = __builtin_fabsf(b);
  return (__builtin_fabsf(a) < 0x1p28f * divisor) & (divisor < __builtin_inff());
}

template <typename F, Repeat repeat>
void divideFloats(void* out, const void* a, const void* b, const void*, int64_t n) {
  constexpr int64_t kPart = 256;
  float* y = static_cast<float*>(out);
  const float* x0 = static_cast<const float*>(a);
  const float* x1 = static_cast<const float*>(b);
  const float first = x0[0];
  const float second = x1[0];
  for (int64_t begin = 0; begin < n; begin += kPart) {
    const int64_t size = n - begin < kPart ? n - begin : kPart;
    const auto dividend = [&](int64_t i) { return repeat == kFirst ? first : x0[begin + i]; };
    const auto divisor = [&](int64_t i) { return repeat == kSecond ? second : x1[begin + i]; };
    float part[kPart];  // `out` may be the memory of an operand, which is read twice
    int32_t rest = 0;
    for (int64_t i = 0; i < size; i++) {
      part[i] = static_cast<float>(F::moderate(static_cast<double>(dividend(i)), static_cast<double>(divisor(i))));
      rest |= !isModerate(dividend(i), divisor(i));
    }
    for (int64_t i = 0; rest && i < size; i++)
      if (!isModerate(dividend(i), divisor(i)))
        part[i] = static_cast<float>(F::apply(static_cast<double>(dividend(i)), static_cast<double>(divisor(i))));
    __builtin_memcpy(y + begin, part, static_cast<size_t>(size) * sizeof(float));
  }
}

template <typename F>
void add(Loops& table, Opcode op) {
  Compute* floats = table.binary[static_cast<int>(op)][static_cast<int>(RegisterClass::f32)];
  floats[kNone] = divideFloats<F, kNone>;
  floats[kFirst] = divideFloats<F, kFirst>;
  floats[kSecond] = divideFloats<F, kSecond>;
  addBinary<F, double, double>(table, op, RegisterClass::f64);
  addBinary<F, int32_t, int32_t>(table, op, RegisterClass::i32);
  addBinary<F, int64_t, int64_t>(table, op, RegisterClass::i64);
}

}  // namespace

void addDivisions(Loops& table) {
  add<FloorDiv>(table, Opcode::floorDiv);
  add<Mod>(table, Opcode::mod);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
