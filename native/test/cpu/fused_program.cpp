// The scalar reference of fused programs.
#include "fused_program.h"

#include <cmath>
#include <limits>

namespace heddle::test {
namespace {

bool isFloat(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16;
}

int64_t wrap(int64_t value, DType dtype) {
  switch (dtype) {
    case DType::i8: return static_cast<int8_t>(value);
    case DType::u8: return static_cast<uint8_t>(value);
    case DType::i32: return static_cast<int32_t>(value);
    case DType::bool_: return value != 0;
    default: return value;
  }
}

double digammaReference(double x) {
  if (x == 0) return std::copysign(INFINITY, -x);
  if (x < 0 && x == std::floor(x)) return NAN;
  if (x == -INFINITY) return NAN;
  // The derivative of log gamma, by recurrence to where three terms of the series are exact enough.
  long double sum = 0;
  long double y = x;
  if (y < 0) {
    const long double pi = 3.14159265358979323846264338327950288L;
    sum = -pi / std::tan(pi * (y - std::floor(y)));
    y = 1 - y;
  }
  while (y < 200) {
    sum -= 1 / y;
    y += 1;
  }
  const long double z = 1 / (y * y);
  return static_cast<double>(sum + std::log(y) - 0.5L / y - z / 12 + z * z / 120 - z * z * z / 252);
}

double inverseErfReference(double y) {
  if (!(std::fabs(y) < 1)) return std::fabs(y) == 1 ? std::copysign(INFINITY, y) : NAN;
  double low = 0, high = 6.5;
  for (int i = 0; i < 200; i++) {
    const double middle = (low + high) / 2;
    const bool below = std::fabs(y) < 0.5 ? std::erf(middle) < std::fabs(y) : std::erfc(middle) > 1 - std::fabs(y);
    (below ? low : high) = middle;
  }
  return std::fabs(y) < 1e-9 ? y * std::sqrt(M_PI) / 2 : std::copysign((low + high) / 2, y);
}

double unaryReal(Opcode op, double x) {
  switch (op) {
    case Opcode::neg: return -x;
    case Opcode::abs: return std::fabs(x);
    case Opcode::sign: return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x;
    case Opcode::floor: return std::floor(x);
    case Opcode::ceil: return std::ceil(x);
    case Opcode::round: return std::nearbyint(x);
    case Opcode::trunc: return std::trunc(x);
    case Opcode::sqrt: return std::sqrt(x);
    case Opcode::rsqrt: return 1 / std::sqrt(x);
    case Opcode::reciprocal: return 1 / x;
    case Opcode::exp: return std::exp(x);
    case Opcode::expm1: return std::expm1(x);
    case Opcode::exp2: return std::exp2(x);
    case Opcode::log: return std::log(x);
    case Opcode::log1p: return std::log1p(x);
    case Opcode::log2: return std::log2(x);
    case Opcode::sin: return std::sin(x);
    case Opcode::cos: return std::cos(x);
    case Opcode::tan: return std::tan(x);
    case Opcode::asin: return std::asin(x);
    case Opcode::acos: return std::acos(x);
    case Opcode::atan: return std::atan(x);
    case Opcode::sinh: return std::sinh(x);
    case Opcode::cosh: return std::cosh(x);
    case Opcode::tanh: return std::tanh(x);
    case Opcode::asinh: return std::asinh(x);
    case Opcode::acosh: return std::acosh(x);
    case Opcode::atanh: return std::atanh(x);
    case Opcode::erf: return std::erf(x);
    case Opcode::erfc: return std::erfc(x);
    case Opcode::erfinv: return inverseErfReference(x);
    case Opcode::lgamma: return std::lgamma(x);
    case Opcode::digamma: return digammaReference(x);
    case Opcode::sigmoid: return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
    default: return NAN;
  }
}

double pythonMod(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

double binaryReal(Opcode op, double a, double b) {
  switch (op) {
    case Opcode::add: return a + b;
    case Opcode::sub: return a - b;
    case Opcode::mul: return a * b;
    case Opcode::div: return a / b;
    case Opcode::floorDiv:
      if (std::isinf(b) && std::isfinite(a)) return a == 0 || (a < 0) == (b < 0) ? 0 : -1;
      return b == 0 ? a / b : std::floor((a - pythonMod(a, b)) / b + 0.25);
    case Opcode::mod: return pythonMod(a, b);
    case Opcode::pow: return std::pow(a, b);
    case Opcode::max: return std::isnan(a) || std::isnan(b) ? NAN : std::fmax(a, b);
    case Opcode::min: return std::isnan(a) || std::isnan(b) ? NAN : std::fmin(a, b);
    case Opcode::atan2: return std::atan2(a, b);
    default: return NAN;
  }
}

int64_t binaryWhole(Opcode op, int64_t a, int64_t b) {
  const __int128 x = a, y = b;
  switch (op) {
    case Opcode::add: return static_cast<int64_t>(x + y);
    case Opcode::sub: return static_cast<int64_t>(x - y);
    case Opcode::mul: return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    case Opcode::floorDiv: return b == 0 ? 0 : static_cast<int64_t>(x / y - (x % y != 0 && (x < 0) != (y < 0)));
    case Opcode::mod: return b == 0 ? 0 : static_cast<int64_t>((x % y + y) % y);
    case Opcode::pow: {
      if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
      if (b == 0) return 1;
      const int64_t half = binaryWhole(Opcode::pow, a, b / 2);
      const int64_t square = binaryWhole(Opcode::mul, half, half);
      return b % 2 == 0 ? square : binaryWhole(Opcode::mul, square, a);
    }
    case Opcode::max: return a > b ? a : b;
    case Opcode::min: return a < b ? a : b;
    default: return 0;
  }
}

template <typename T>
bool compare(Opcode op, T a, T b) {
  switch (op) {
    case Opcode::eq: return a == b;
    case Opcode::ne: return a != b;
    case Opcode::lt: return a < b;
    case Opcode::le: return a <= b;
    case Opcode::gt: return a > b;
    default: return a >= b;
  }
}

int64_t saturate(double x, DType dtype) {
  if (std::isnan(x)) return 0;
  const double whole = std::trunc(x);
  const double low = dtype == DType::i8 ? -128 : dtype == DType::u8 ? 0 : dtype == DType::i32 ? -0x1p31 : -0x1p63;
  const double high = dtype == DType::i8 ? 127 : dtype == DType::u8 ? 255 : dtype == DType::i32 ? 0x1p31 - 1 : 0x1p63;
  if (whole <= low) return low == -0x1p63 ? std::numeric_limits<int64_t>::min() : static_cast<int64_t>(low);
  if (whole >= high) return high == 0x1p63 ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(high);
  return static_cast<int64_t>(whole);
}

}  // namespace

Scalar applyScalar(Opcode op, DType operand, DType result, const Scalar* args) {
  const bool real = isFloat(operand);
  Scalar out;
  switch (op) {
    case Opcode::cast:
      if (isFloat(result))
        out.real = real ? args[0].real : static_cast<double>(args[0].whole);
      else if (result == DType::bool_)
        out.whole = real ? args[0].real != 0 : args[0].whole != 0;
      else
        out.whole = real ? saturate(args[0].real, result) : wrap(args[0].whole, result);
      return out;
    case Opcode::where: return args[0].whole != 0 ? args[1] : args[2];
    case Opcode::not_: return {0, args[0].whole == 0};
    case Opcode::and_: return {0, args[0].whole & args[1].whole};
    case Opcode::or_: return {0, args[0].whole | args[1].whole};
    case Opcode::xor_: return {0, args[0].whole ^ args[1].whole};
    case Opcode::isNaN: return {0, std::isnan(args[0].real)};
    case Opcode::isFinite: return {0, std::isfinite(args[0].real)};
    default: break;
  }
  if (op >= Opcode::eq && op <= Opcode::ge)
    return {0, real ? compare(op, args[0].real, args[1].real) : compare(op, args[0].whole, args[1].whole)};
  const bool two = op >= Opcode::add && op <= Opcode::atan2;
  if (real) {
    out.real = two ? binaryReal(op, args[0].real, args[1].real) : unaryReal(op, args[0].real);
    return out;
  }
  if (two)
    out.whole = binaryWhole(op, args[0].whole, args[1].whole);
  else if (op == Opcode::neg)
    out.whole = binaryWhole(Opcode::sub, 0, args[0].whole);
  else if (op == Opcode::abs)
    out.whole = args[0].whole < 0 ? binaryWhole(Opcode::sub, 0, args[0].whole) : args[0].whole;
  else
    out.whole = (args[0].whole > 0) - (args[0].whole < 0);
  out.whole = wrap(out.whole, result);
  return out;
}

FusedProgram::FusedProgram(Shape extents, std::vector<bool> reduced)
    : extents_(std::move(extents)), reduced_(std::move(reduced)) {
  reduced_.resize(extents_.size(), false);
}

int FusedProgram::add(Node node) {
  bool after = node.op == Opcode::reduce;
  for (const int arg : node.args) after = after || after_[static_cast<size_t>(arg)];
  after_.push_back(after);
  nodes_.push_back(std::move(node));
  return static_cast<int>(nodes_.size()) - 1;
}

int FusedProgram::load(Tensor& tensor) {
  Words words{static_cast<double>(inputs_.size())};
  for (const int64_t stride : tensor.spec().strides) words.push_back(static_cast<double>(stride));
  inputs_.push_back(&tensor);
  return add({Opcode::load, tensor.spec().dtype, words, {}, tensor.values()});
}

int FusedProgram::iota(DType dtype, int64_t start, const Shape& strides) {
  Words words{static_cast<double>(start)};
  for (const int64_t stride : strides) words.push_back(static_cast<double>(stride));
  return add({Opcode::iota, dtype, words, {}, {}});
}

int FusedProgram::constant(DType dtype, double value) { return add({Opcode::constant, dtype, {value}, {}, {}}); }

int FusedProgram::reduce(DType dtype, Reduction kind, int arg) {
  reduce_ = static_cast<int>(nodes_.size());
  return add({Opcode::reduce, dtype, {static_cast<double>(kind), static_cast<double>(arg)}, {arg}, {}});
}

int FusedProgram::apply(Opcode op, DType dtype, const std::vector<int>& args) {
  Words words{static_cast<double>(args.size())};
  for (const int arg : args) words.push_back(arg);
  return add({op, dtype, words, args, {}});
}

int FusedProgram::draw(Opcode op, DType dtype, int64_t offset, int seed, int counter, int index) {
  const Words words{static_cast<double>(offset), static_cast<double>(seed), static_cast<double>(counter),
                    static_cast<double>(index)};
  return add({op, dtype, words, {seed, counter, index}, {}});
}

void FusedProgram::store(int value, Tensor& tensor) {
  stores_.push_back({value, &tensor, after_[static_cast<size_t>(value)]});
}

Words FusedProgram::params() const {
  Words words{static_cast<double>(extents_.size())};
  for (const int64_t extent : extents_) words.push_back(static_cast<double>(extent));
  for (const bool reduced : reduced_) words.push_back(reduced ? 1 : 0);
  words.push_back(static_cast<double>(nodes_.size()));
  for (const Node& node : nodes_) {
    words.push_back(static_cast<double>(node.op));
    words.push_back(static_cast<double>(node.dtype));
    words.insert(words.end(), node.words.begin(), node.words.end());
  }
  words.push_back(static_cast<double>(stores_.size()));
  for (const Target& store : stores_) {
    words.push_back(store.value);
    words.push_back(static_cast<double>(store.tensor->spec().dtype));
    for (size_t axis = 0; axis < extents_.size(); axis++)
      words.push_back(store.after && reduced_[axis] ? 0 : static_cast<double>(store.tensor->spec().strides[axis]));
  }
  words.insert(words.begin(), static_cast<double>(words.size()));
  return words;
}

void FusedProgram::run(int times) const {
  std::vector<Tensor*> outputs;
  for (const Target& store : stores_) outputs.push_back(store.tensor);
  runOp(OpId::fused, params(), inputs_, outputs, times);
}

void FusedProgram::evaluate(int64_t coordinate, const Shape& index, const std::vector<Scalar>* reduced,
                            std::vector<Scalar>& values) const {
  for (size_t i = 0; i < nodes_.size(); i++) {
    const Node& node = nodes_[i];
    if (after_[i] && reduced == nullptr) continue;
    const auto set = [&](double value) {
      if (isFloat(node.dtype))
        values[i].real = value;
      else
        values[i].whole = static_cast<int64_t>(value);
    };
    // Without coordinates there is no element; such programs use no load after the reduction.
    if (node.op == Opcode::load)
      set(node.values.empty() ? 0 : node.values[static_cast<size_t>(coordinate)]);
    else if (node.op == Opcode::constant)
      set(node.words[0]);
    else if (node.op == Opcode::reduce)
      values[i] = (*reduced)[0];
    else if (node.op == Opcode::iota) {
      double value = node.words[0];
      for (size_t axis = 0; axis < index.size(); axis++)
        value += node.words[axis + 1] * static_cast<double>(index[axis]);
      set(value);
    } else {
      Scalar args[3];
      for (size_t arg = 0; arg < node.args.size(); arg++) args[arg] = values[static_cast<size_t>(node.args[arg])];
      values[i] = applyScalar(node.op, nodes_[static_cast<size_t>(node.args.back())].dtype, node.dtype, args);
    }
  }
}

std::vector<std::vector<double>> FusedProgram::expected() const {
  std::vector<std::vector<double>> results(stores_.size());
  Shape kept = extents_, inner = extents_;
  for (size_t axis = 0; axis < extents_.size(); axis++) (reduced_[axis] ? kept : inner)[axis] = 1;
  std::vector<Scalar> values(nodes_.size());
  const bool reduces = reduce_ >= 0;
  const auto value = [&](const Target& store) {
    const Scalar& scalar = values[static_cast<size_t>(store.value)];
    return isFloat(nodes_[static_cast<size_t>(store.value)].dtype) ? scalar.real : static_cast<double>(scalar.whole);
  };
  const auto linear = [&](const Shape& index) {
    int64_t position = 0;
    for (size_t axis = 0; axis < extents_.size(); axis++) position = position * extents_[axis] + index[axis];
    return position;
  };
  std::vector<std::vector<double>> scattered(stores_.size(),
                                             std::vector<double>(static_cast<size_t>(sizeOf(extents_))));
  forEachIndex(reduces ? kept : extents_, [&](const Shape& outer) {
    if (!reduces) {
      evaluate(linear(outer), outer, nullptr, values);
      for (size_t s = 0; s < stores_.size(); s++) results[s].push_back(value(stores_[s]));
      return;
    }
    const Node& node = nodes_[static_cast<size_t>(reduce_)];
    const auto kind = static_cast<Reduction>(node.words[0]);
    const bool real = isFloat(node.dtype);
    Scalar total;
    bool first = true;
    forEachIndex(inner, [&](const Shape& within) {
      Shape index = outer;
      for (size_t axis = 0; axis < index.size(); axis++) index[axis] += within[axis];
      evaluate(linear(index), index, nullptr, values);
      const Scalar next = values[static_cast<size_t>(node.args[0])];
      for (size_t s = 0; s < stores_.size(); s++)
        if (!stores_[s].after) scattered[s][static_cast<size_t>(linear(index))] = value(stores_[s]);
      const Opcode op = kind == Reduction::sum    ? Opcode::add
                        : kind == Reduction::prod ? Opcode::mul
                        : kind == Reduction::max  ? Opcode::max
                                                  : Opcode::min;
      if (first)
        total = next;
      else if (real)
        total.real = binaryReal(op, total.real, next.real);
      else
        total.whole = wrap(binaryWhole(op, total.whole, next.whole), node.dtype);
      first = false;
    });
    if (first) {
      const double infinity = std::numeric_limits<double>::infinity();
      const bool highest = kind == Reduction::max;
      total.real = kind == Reduction::sum ? 0 : kind == Reduction::prod ? 1 : highest ? -infinity : infinity;
      total.whole = kind == Reduction::sum    ? 0
                    : kind == Reduction::prod ? 1
                                              : saturate(highest ? -infinity : infinity, node.dtype);
      if (node.dtype == DType::bool_) total.whole = highest ? 0 : 1;
    }
    const std::vector<Scalar> reduced{total};
    evaluate(linear(outer), outer, &reduced, values);
    for (size_t s = 0; s < stores_.size(); s++)
      if (stores_[s].after) results[s].push_back(value(stores_[s]));
  });
  for (size_t s = 0; s < stores_.size(); s++)
    if (reduces && !stores_[s].after) results[s] = scattered[s];
  return results;
}

}  // namespace heddle::test
