// Every opcode of fused programs on every dtype it takes: special values, integer edges, and errors in units of the
// last place over all of f32.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>

#include "families.h"
#include "fused_program.h"

namespace heddle::test {
namespace {

const char* const kNames[] = {
    "load", "iota",   "constant",   "reduce",  "neg",     "abs",  "sign",  "floor",    "ceil",  "round", "trunc",
    "sqrt", "rsqrt",  "reciprocal", "exp",     "expm1",   "exp2", "log",   "log1p",    "log2",  "sin",   "cos",
    "tan",  "asin",   "acos",       "atan",    "sinh",    "cosh", "tanh",  "asinh",    "acosh", "atanh", "erf",
    "erfc", "erfinv", "lgamma",     "digamma", "sigmoid", "not",  "isNaN", "isFinite", "cast",  "add",   "sub",
    "mul",  "div",    "floorDiv",   "mod",     "pow",     "max",  "min",   "atan2",    "eq",    "ne",    "lt",
    "le",   "gt",     "ge",         "and",     "or",      "xor",  "where", "uniform",  "normal"};

std::string label(const char* what, Opcode op, DType dtype) {
  return std::string("fused ") + what + " " + kNames[static_cast<int>(op)] + " " + kDTypeNames[static_cast<int>(dtype)];
}

bool isFloat(DType dtype) { return dtype <= DType::f16; }

/// The distance between `actual` and `exact` in units of the f32's last place at `exact`.
double ulps(float actual, double exact) {
  if (std::isnan(exact)) return std::isnan(actual) ? 0 : INFINITY;
  const float rounded = static_cast<float>(exact);
  if (std::isinf(rounded) || std::isinf(actual)) {
    if (actual == rounded) return 0;
    // One step from the largest number to infinity is one unit.
    const float largest = std::copysign(std::numeric_limits<float>::max(), rounded);
    return actual == largest || (std::isinf(actual) && rounded == largest) ? 1 : INFINITY;
  }
  int exponent;
  std::frexp(exact, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 24, -149));
  return std::fabs(static_cast<double>(actual) - exact) / unit;
}

constexpr double kMostUlps = 4;

/// f32 bit patterns at a stride through all of them: both signs, subnormals, infinities and NaN.
void everyFloat(Opcode op, uint32_t stride) {
  constexpr int64_t kBatch = 1 << 16;
  Tensor x(DType::f32, {kBatch}), y(DType::f32, {kBatch});
  FusedProgram program({kBatch});
  program.store(program.apply(op, DType::f32, {program.load(x)}), y);
  const Words params = program.params();
  double worst = 0;
  float worstAt = 0;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += uint64_t{kBatch} * stride) {
    float* in = static_cast<float*>(x.data());
    for (int64_t i = 0; i < kBatch; i++) {
      const uint32_t pattern = static_cast<uint32_t>(bits + static_cast<uint64_t>(i) * stride);
      std::memcpy(in + i, &pattern, 4);
    }
    runOp(OpId::fused, params, {&x}, {&y});
    const float* out = static_cast<const float*>(y.data());
    for (int64_t i = 0; i < kBatch; i++) {
      const Scalar argument{static_cast<double>(in[i]), 0};
      const double distance = ulps(out[i], applyScalar(op, DType::f32, DType::f32, &argument).real);
      if (distance > worst || std::isinf(distance)) {
        worst = distance;
        worstAt = in[i];
      }
    }
  }
  char text[120];
  std::snprintf(text, sizeof text, "%s within %g ULP of f64 (worst %.2f at %.9g)",
                label("sweep", op, DType::f32).c_str(), kMostUlps, worst, static_cast<double>(worstAt));
  expectTrue(text, worst <= kMostUlps);
}

std::vector<double> specials(DType dtype) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (isFloat(dtype)) {
    std::vector<double> values{0.0, -0.0, 1,  -1,  0.5,  -0.5, 2,   -2,  1.5,  2.5,      -2.5,      3,
                               -3,  7,    -7, 0.1, -0.1, 10,   -10, 100, -100, infinity, -infinity, std::nan("")};
    for (int i = 1; i < 40; i++) values.push_back(0.37 * i - 7.1);
    return values;
  }
  if (dtype == DType::bool_) return {0, 1, 1, 0, 0};
  if (dtype == DType::u8) return {0, 1, 2, 3, 7, 100, 127, 128, 200, 254, 255};
  std::vector<double> values{0, 1, -1, 2, -2, 3, -3, 7, -7, 100, -100, 126, 127, -127, -128};
  if (dtype == DType::i32) values.insert(values.end(), {2147483647.0, -2147483648.0, 65536.0, -65537.0});
  if (dtype == DType::i64) values.insert(values.end(), {4503599627370496.0, -4503599627370495.0, 4294967296.0});
  return values;
}

Tolerance close(DType dtype) {
  // Four units of the last place; f16 and bf16 round once more when they are stored.
  switch (dtype) {
    case DType::f32: return {4 * 0x1p-23, 0x1p-147};
    case DType::f64: return {4 * 0x1p-52, 0};
    case DType::f16: return {0x1p-10, 0x1p-24};
    case DType::bf16: return {0x1p-7, 0};
    default: return {0, 0};
  }
}

/// All pairs (or triples' first two, with a condition) of special values.
void opcode(Opcode op, DType dtype, DType result, int count) {
  const std::vector<double> values = specials(dtype);
  const int64_t n = static_cast<int64_t>(values.size());
  Tensor a(dtype, {n, n}, {1, 0}), b(dtype, {n, n}, {0, 1}), condition(DType::bool_, {n, n}), y(result, {n, n});
  std::vector<double> rows, columns;
  for (int64_t i = 0; i < n * n; i++) {
    rows.push_back(values[static_cast<size_t>(i / n)]);
    columns.push_back(values[static_cast<size_t>(i % n)]);
  }
  a.assign(rows);
  b.assign(columns);
  condition.integers(3, 0, 1);
  FusedProgram program({n, n});
  std::vector<int> args;
  if (count == 3) args.push_back(program.load(condition));
  args.push_back(program.load(a));
  if (count >= 2) args.push_back(program.load(b));
  program.store(program.apply(op, result, args), y);
  program.run();
  // What a dtype cannot hold overflows or vanishes there as it does in the kernel.
  std::vector<double> expected = program.expected()[0];
  if (isFloat(result)) expected = Tensor(result, {n, n}).assign(expected).values();
  expectNear(label("values", op, dtype) + " to " + kDTypeNames[static_cast<int>(result)], y, expected, close(result));
}

void opcodes() {
  const DType all[] = {DType::f32, DType::f64, DType::bf16, DType::f16,  DType::i8,
                       DType::u8,  DType::i32, DType::i64,  DType::bool_};
  for (const DType dtype : all) {
    const bool number = dtype != DType::bool_;
    for (int i = static_cast<int>(Opcode::neg); i <= static_cast<int>(Opcode::sigmoid); i++)
      if (isFloat(dtype) || (number && i <= static_cast<int>(Opcode::sign)))
        opcode(static_cast<Opcode>(i), dtype, dtype, 1);
    for (const DType target : all) opcode(Opcode::cast, dtype, target, 1);
    for (const Opcode op : {Opcode::add, Opcode::sub, Opcode::mul, Opcode::floorDiv, Opcode::mod, Opcode::pow})
      if (number) opcode(op, dtype, dtype, 2);
    for (const Opcode op : {Opcode::max, Opcode::min}) opcode(op, dtype, dtype, 2);
    for (const Opcode op : {Opcode::eq, Opcode::ne, Opcode::lt, Opcode::le, Opcode::gt, Opcode::ge})
      opcode(op, dtype, DType::bool_, 2);
    opcode(Opcode::where, dtype, dtype, 3);
    if (isFloat(dtype)) {
      opcode(Opcode::div, dtype, dtype, 2);
      opcode(Opcode::atan2, dtype, dtype, 2);
      opcode(Opcode::isNaN, dtype, DType::bool_, 1);
      opcode(Opcode::isFinite, dtype, DType::bool_, 1);
    }
  }
  for (const Opcode op : {Opcode::and_, Opcode::or_, Opcode::xor_}) opcode(op, DType::bool_, DType::bool_, 2);
  opcode(Opcode::not_, DType::bool_, DType::bool_, 1);
}

/// f64 functions at many magnitudes against long double.
void everyDouble() {
  using Function = long double (*)(long double);
  const std::pair<Opcode, Function> functions[] = {
      {Opcode::exp, [](long double x) { return std::exp(x); }},
      {Opcode::log, [](long double x) { return std::log(x); }},
      {Opcode::tanh, [](long double x) { return std::tanh(x); }},
      {Opcode::erf, [](long double x) { return std::erf(x); }},
      {Opcode::sigmoid, [](long double x) { return 1 / (1 + std::exp(-x)); }},
      {Opcode::sin, [](long double x) { return std::sin(x); }},
      {Opcode::expm1, [](long double x) { return std::expm1(x); }}};
  constexpr int64_t kCount = 400000;
  std::mt19937_64 random(5);
  for (const auto& [op, function] : functions) {
    Tensor x(DType::f64, {kCount}), y(DType::f64, {kCount});
    double* in = static_cast<double*>(x.data());
    for (int64_t i = 0; i < kCount; i++) {
      const double mantissa = static_cast<double>(random() >> 11) * 0x1p-53 + 0.5;
      in[i] = std::ldexp(
          mantissa, static_cast<int>(random() % (op == Opcode::log ? 2000 : 40)) - (op == Opcode::log ? 1000 : 30));
      if (op != Opcode::log && random() % 2 == 0) in[i] = -in[i];
    }
    FusedProgram program({kCount});
    program.store(program.apply(op, DType::f64, {program.load(x)}), y);
    program.run();
    const double* out = static_cast<const double*>(y.data());
    double worst = 0;
    for (int64_t i = 0; i < kCount; i++) {
      const long double exact = function(in[i]);
      if (std::isinf(static_cast<double>(exact)) || exact == 0) {
        if (out[i] != static_cast<double>(exact)) worst = INFINITY;
        continue;
      }
      int exponent;
      std::frexp(exact, &exponent);
      const long double unit = std::ldexp(1.0L, std::max(exponent - 53, -1074));
      worst = std::max(worst, static_cast<double>(std::fabs(static_cast<long double>(out[i]) - exact) / unit));
    }
    char text[100];
    std::snprintf(text, sizeof text, "%s within %g ULP (worst %.2f)", label("sweep", op, DType::f64).c_str(), kMostUlps,
                  worst);
    expectTrue(text, worst <= kMostUlps);
  }
}

void halves() {
  // Every f16 and bf16 pattern, through f32 and back.
  for (const DType dtype : {DType::f16, DType::bf16}) {
    Tensor x(dtype, {65536}), y(dtype, {65536}), wide(DType::f32, {65536});
    for (int i = 0; i < 65536; i++) static_cast<uint16_t*>(x.data())[i] = static_cast<uint16_t>(i);
    FusedProgram program({65536});
    const int value = program.apply(Opcode::cast, DType::f32, {program.load(x)});
    program.store(value, wide);
    program.store(program.apply(Opcode::cast, dtype, {value}), y);
    program.run();
    expectExact(label("widen", Opcode::cast, dtype), wide, x.values());
    expectExact(label("round trip", Opcode::cast, dtype), y, x.values());
  }
}

/// Floor division and modulo of f32: quotients that are integers or next to one, quotients of any size and zeros.
void divisions() {
  constexpr int64_t kCount = 100003;
  Tensor a(DType::f32, {kCount}), b(DType::f32, {kCount}), quotient(DType::f32, {kCount}), rest(DType::f32, {kCount});
  float* dividend = static_cast<float*>(a.data());
  float* divisor = static_cast<float*>(b.data());
  std::mt19937 random(7);
  const auto number = [&random](int exponents) {
    const int whole = static_cast<int>(random() >> 7) - (1 << 24);
    return std::ldexp(static_cast<float>(whole), static_cast<int>(random() % static_cast<uint32_t>(exponents)) - 40);
  };
  for (int64_t i = 0; i < kCount; i++) {
    divisor[i] = number(30);
    const int kind = static_cast<int>(random() % 4);
    dividend[i] = kind == 0 ? number(60) : divisor[i] * static_cast<float>(static_cast<int>(random() % 5000) - 2500);
    if (kind == 1) dividend[i] = std::nextafter(dividend[i], INFINITY);
    if (kind == 2) dividend[i] = std::nextafter(dividend[i], -INFINITY);
  }
  FusedProgram program({kCount});
  const int left = program.load(a), right = program.load(b);
  program.store(program.apply(Opcode::floorDiv, DType::f32, {left, right}), quotient);
  program.store(program.apply(Opcode::mod, DType::f32, {left, right}), rest);
  program.run();
  const auto expected = program.expected();
  expectNear(label("sweep", Opcode::floorDiv, DType::f32), quotient, expected[0], close(DType::f32));
  expectNear(label("sweep", Opcode::mod, DType::f32), rest, expected[1], close(DType::f32));
  bool signs = true;
  for (int64_t i = 0; i < kCount; i++) {
    const float whole = static_cast<const float*>(quotient.data())[i];
    const float left = static_cast<const float*>(rest.data())[i];
    const bool negative = std::signbit(divisor[i]);
    if (whole == 0) signs = signs && std::signbit(whole) == (std::signbit(dividend[i]) != negative);
    if (left == 0) signs = signs && std::signbit(left) == negative;
  }
  expectTrue("fused floorDiv and mod: the signs of zeros", signs);
}

}  // namespace

void testFusedOps() {
  opcodes();
  divisions();
  halves();
  everyDouble();
  for (int i = static_cast<int>(Opcode::floor); i <= static_cast<int>(Opcode::sigmoid); i++) {
    const Opcode op = static_cast<Opcode>(i);
    // The root of digamma near -0.504 and its like have no relative precision; values() covers it.
    if (op == Opcode::digamma || op == Opcode::lgamma) continue;
    everyFloat(op, op == Opcode::erfinv ? 40009 : 4001);
  }
}

}  // namespace heddle::test
