// Elementary function loops in f64: exp, log, tanh and sigmoid vectorise, the others are libm's.
#define HEDDLE_UNROLLED 1  // what is applied is long already
#include "apply.h"
#include "exponential.h"
#include "special.h"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

struct Exp {
  HEDDLE_INLINE double apply(double x) { return expOf(x); }
};
struct Log {
  HEDDLE_INLINE double apply(double x) { return logOf(x); }
};
struct Tanh {
  HEDDLE_INLINE double apply(double x) {
    const double magnitude = clamp(__builtin_fabs(x), 0.0, 20.0);
    const double power = expm1Moderate(2.0 * magnitude);
    const double value = __builtin_copysign(power / (power + 2.0), x);
    return magnitude < 0x1p-28 ? x : value;
  }
};
struct Sigmoid {
  HEDDLE_INLINE double apply(double x) {
    const double power = expOf(-__builtin_fabs(x));
    return (x < 0.0 ? power : 1.0) / (1.0 + power);
  }
};

#define HEDDLE_LIBM(Name, function)                              \
  struct Name {                                                  \
    HEDDLE_INLINE double apply(double x) { return function(x); } \
  }
HEDDLE_LIBM(Expm1, expm1);
HEDDLE_LIBM(Exp2, exp2);
HEDDLE_LIBM(Log1p, log1p);
HEDDLE_LIBM(Log2, log2);
HEDDLE_LIBM(Sin, sin);
HEDDLE_LIBM(Cos, cos);
HEDDLE_LIBM(Tan, tan);
HEDDLE_LIBM(Asin, asin);
HEDDLE_LIBM(Acos, acos);
HEDDLE_LIBM(Atan, atan);
HEDDLE_LIBM(Sinh, sinh);
HEDDLE_LIBM(Cosh, cosh);
HEDDLE_LIBM(Asinh, asinh);
HEDDLE_LIBM(Acosh, acosh);
HEDDLE_LIBM(Atanh, atanh);
HEDDLE_LIBM(Erf, erf);
HEDDLE_LIBM(Erfc, erfc);
HEDDLE_LIBM(Erfinv, inverseErf);
HEDDLE_LIBM(Lgamma, logGamma);
HEDDLE_LIBM(Digamma, digamma);
#undef HEDDLE_LIBM
struct Pow {
  HEDDLE_INLINE double apply(double a, double b) { return pow(a, b); }
};
struct Atan2 {
  HEDDLE_INLINE double apply(double a, double b) { return atan2(a, b); }
};

template <typename F>
void add(Loops& table, Opcode op) {
  addUnary<F, double, double>(table, op, RegisterClass::f64);
}

}  // namespace

void addDoubleFunctions(Loops& table) {
  add<Exp>(table, Opcode::exp);
  add<Expm1>(table, Opcode::expm1);
  add<Exp2>(table, Opcode::exp2);
  add<Log>(table, Opcode::log);
  add<Log1p>(table, Opcode::log1p);
  add<Log2>(table, Opcode::log2);
  add<Sin>(table, Opcode::sin);
  add<Cos>(table, Opcode::cos);
  add<Tan>(table, Opcode::tan);
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
  addBinary<Pow, double, double>(table, Opcode::pow, RegisterClass::f64);
  addBinary<Atan2, double, double>(table, Opcode::atan2, RegisterClass::f64);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
