// One expression per opcode; what CUDA's own functions round and what they do at the edges is what the contract asks.
#include "expression.h"

#include <cmath>
#include <cstdio>
#include <limits>

#include "../../core/element.h"

namespace heddle::cuda {
namespace {

bool isShort(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16; }
bool isInteger(DType dtype) { return !isFloat(dtype) && dtype != DType::bool_; }

std::string call(const char* function, const std::vector<std::string>& args) {
  std::string text = function;
  text += "(";
  for (size_t i = 0; i < args.size(); i++) text += (i ? ", " : "") + args[i];
  return text += ")";
}

/// A function of CUDA's mathematical library: its name for double, with an f for float.
std::string library(const char* function, DType dtype, const std::vector<std::string>& args) {
  return call((std::string(function) + (dtype == DType::f64 ? "" : "f")).c_str(), args);
}

std::string floatLiteral(float value) {
  if (std::isnan(value)) return "__int_as_float(0x7fc00000)";
  if (std::isinf(value)) return value > 0 ? "__int_as_float(0x7f800000)" : "(-__int_as_float(0x7f800000))";
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
  std::string result = text;
  if (result.find_first_of(".e") == std::string::npos) result += ".0";
  return value < 0 || std::signbit(value) ? "(" + result + "f)" : result + "f";
}

std::string doubleLiteral(double value) {
  if (std::isnan(value)) return "__longlong_as_double(0x7ff8000000000000ll)";
  if (std::isinf(value))
    return value > 0 ? "__longlong_as_double(0x7ff0000000000000ll)" : "(-__longlong_as_double(0x7ff0000000000000ll))";
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  std::string result = text;
  if (result.find_first_of(".e") == std::string::npos) result += ".0";
  return std::signbit(value) ? "(" + result + ")" : result;
}

/// The lowest number of a type has no literal of its own.
std::string integerLiteral(DType dtype, int64_t value) {
  if (dtype != DType::i64) {
    if (value == std::numeric_limits<int32_t>::min()) return "(-2147483647 - 1)";
    return value < 0 ? "(" + std::to_string(value) + ")" : std::to_string(value);
  }
  if (value == std::numeric_limits<int64_t>::min()) return "(-9223372036854775807ll - 1)";
  return value < 0 ? "(" + std::to_string(value) + "ll)" : std::to_string(value) + "ll";
}

int64_t lowest(DType dtype) {
  switch (dtype) {
    case DType::i8: return -128;
    case DType::i32: return std::numeric_limits<int32_t>::min();
    case DType::i64: return std::numeric_limits<int64_t>::min();
    default: return 0;
  }
}
int64_t highest(DType dtype) {
  switch (dtype) {
    case DType::bool_: return 1;
    case DType::i8: return 127;
    case DType::u8: return 255;
    case DType::i32: return std::numeric_limits<int32_t>::max();
    default: return std::numeric_limits<int64_t>::max();
  }
}

int64_t saturate(double value, DType dtype) {
  if (std::isnan(value)) return 0;
  if (value <= static_cast<double>(lowest(dtype))) return lowest(dtype);
  // 2^63 is the first f64 above every i64.
  if (value >= static_cast<double>(highest(dtype))) return highest(dtype);
  return static_cast<int64_t>(value);
}

/// A computed f16 or bf16 is an f32 until it is cast; what was loaded or cast is rounded already.
bool needsRounding(const Instruction& source) {
  return isShort(source.dtype) && source.op != Opcode::load && source.op != Opcode::cast &&
         source.op != Opcode::constant;
}

std::string rounded(DType dtype, const std::string& value) {
  return std::string("roundedTo<") + memoryType(dtype) + ">(" + value + ")";
}

std::string cast(const Instruction& source, DType target, std::string value) {
  if (needsRounding(source)) value = rounded(source.dtype, value);
  // A bool counts as 0 or 1.
  const std::string number = source.dtype == DType::bool_ ? "static_cast<int>(" + value + ")" : value;
  switch (target) {
    case DType::f32: return "static_cast<float>(" + value + ")";
    case DType::f64: return "static_cast<double>(" + value + ")";
    case DType::f16:
    case DType::bf16: return rounded(target, "static_cast<float>(" + value + ")");
    case DType::i8: return "toI8(" + number + ")";
    case DType::u8: return "toU8(" + number + ")";
    case DType::i32: return "toI32(" + number + ")";
    case DType::i64: return "toI64(" + number + ")";
    default: return source.dtype == DType::bool_ ? value : "(" + value + " != " + literal(source.dtype, 0) + ")";
  }
}

std::string unary(Opcode op, DType dtype, const std::vector<std::string>& args) {
  const std::string& x = args[0];
  switch (op) {
    case Opcode::neg: return isInteger(dtype) ? "negate(" + x + ")" : "-" + x;
    case Opcode::abs: return isInteger(dtype) ? "absolute(" + x + ")" : library("fabs", dtype, args);
    case Opcode::sign: return "signOf(" + x + ")";
    case Opcode::round: return library("rint", dtype, args);
    case Opcode::reciprocal: return literal(dtype, 1) + " / " + x;
    case Opcode::digamma: return "digammaOf(" + x + ")";
    case Opcode::sigmoid: return "sigmoidOf(" + x + ")";
    case Opcode::not_: return "!" + x;
    case Opcode::isNaN: return "(" + x + " != " + x + ")";
    case Opcode::isFinite:
      return "(" + library("fabs", dtype, args) + " < " + literal(dtype, std::numeric_limits<double>::infinity()) + ")";
    // The others are called there what they are called here.
    default: return library(opcodeName(op), dtype, args);
  }
}

std::string binary(Opcode op, DType dtype, const std::vector<std::string>& args) {
  const auto between = [&](const char* sign) { return "(" + args[0] + " " + sign + " " + args[1] + ")"; };
  switch (op) {
    case Opcode::add: return isInteger(dtype) ? call("add", args) : between("+");
    case Opcode::sub: return isInteger(dtype) ? call("subtract", args) : between("-");
    case Opcode::mul: return isInteger(dtype) ? call("multiply", args) : between("*");
    case Opcode::div: return between("/");
    case Opcode::floorDiv: return call("floorQuotient", args);
    case Opcode::mod: return call("floorRemainder", args);
    case Opcode::pow: return isInteger(dtype) ? call("integerPower", args) : library("pow", dtype, args);
    case Opcode::max: return call("maximum", args);
    case Opcode::min: return call("minimum", args);
    case Opcode::atan2: return library("atan2", dtype, args);
    case Opcode::eq: return between("==");
    case Opcode::ne: return between("!=");
    case Opcode::lt: return between("<");
    case Opcode::le: return between("<=");
    case Opcode::gt: return between(">");
    case Opcode::ge: return between(">=");
    case Opcode::and_: return between("&&");
    case Opcode::or_: return between("||");
    default: return between("!=");  // xor
  }
}

/// i8 and u8 compute in 32 bits and are cut after each instruction that may leave their range.
std::string wrapped(Opcode op, DType dtype, const std::string& value) {
  if (op == Opcode::max || op == Opcode::min || op == Opcode::where || op == Opcode::mod) return value;
  if (dtype == DType::i8) return "toI8(" + value + ")";
  if (dtype == DType::u8) return "toU8(" + value + ")";
  return value;
}

}  // namespace

const char* registerType(DType dtype) {
  switch (dtype) {
    case DType::f64: return "double";
    case DType::i8:
    case DType::u8:
    case DType::i32: return "int";
    case DType::i64: return "long long";
    case DType::bool_: return "bool";
    default: return "float";
  }
}

const char* memoryType(DType dtype) {
  switch (dtype) {
    case DType::f32: return "float";
    case DType::f64: return "double";
    case DType::bf16: return "BFloat16";
    case DType::f16: return "Float16";
    case DType::i8: return "signed char";
    case DType::i32: return "int";
    case DType::i64: return "long long";
    default: return "unsigned char";
  }
}

const char* accumulatorType(DType dtype) { return dtype == DType::bool_ ? "int" : registerType(dtype); }
int64_t accumulatorBytes(DType dtype) { return dtype == DType::f64 || dtype == DType::i64 ? 8 : 4; }

std::string fromMemory(DType dtype, const std::string& element) {
  if (isShort(dtype)) return "widen(" + element + ")";
  if (dtype == DType::bool_) return "(" + element + " != 0)";
  return element;
}

std::string toMemory(DType dtype, const std::string& value) {
  if (isShort(dtype)) return std::string("narrow<") + memoryType(dtype) + ">(" + value + ")";
  if (bytesOf(dtype) == 1) return std::string("static_cast<") + memoryType(dtype) + ">(" + value + ")";
  return value;
}

std::string literal(DType dtype, double value) {
  switch (dtype) {
    case DType::f32: return floatLiteral(static_cast<float>(value));
    case DType::f64: return doubleLiteral(value);
    case DType::bf16: return floatLiteral(toFloat(toBFloat16(static_cast<float>(value))));
    case DType::f16: return floatLiteral(toFloat(toFloat16(static_cast<float>(value))));
    case DType::bool_: return value != 0 ? "true" : "false";
    default: return integerLiteral(dtype, saturate(value, dtype));
  }
}

const char* combination(Reduction reduction) {
  switch (reduction) {
    case Reduction::sum: return "Added";
    case Reduction::prod: return "Multiplied";
    case Reduction::max: return "Largest";
    default: return "Smallest";
  }
}

std::string identityOf(Reduction reduction, DType dtype) {
  if (reduction == Reduction::sum) return literal(dtype, 0);
  if (reduction == Reduction::prod) return literal(dtype, 1);
  const bool least = reduction == Reduction::max;
  if (isFloat(dtype)) {
    const double infinity = std::numeric_limits<double>::infinity();
    return literal(dtype, least ? -infinity : infinity);
  }
  return integerLiteral(dtype, least ? lowest(dtype) : highest(dtype));
}

std::string fromAccumulator(DType dtype, const std::string& accumulator) {
  if (dtype == DType::bool_) return "(" + accumulator + " != 0)";
  return wrapped(Opcode::reduce, dtype, accumulator);
}

std::string apply(const Program& program, int position, const std::vector<std::string>& args) {
  const Instruction& source = program.instructions[static_cast<size_t>(position)];
  const bool third = source.op == Opcode::where;
  const Instruction& operand = program.instructions[static_cast<size_t>(source.args[third ? 1 : 0])];
  if (source.op == Opcode::cast) return cast(operand, source.dtype, args[0]);
  if (third) return "(" + args[0] + " ? " + args[1] + " : " + args[2] + ")";
  if (source.op == Opcode::uniform || source.op == Opcode::normal) {
    const std::string counter =
        "static_cast<unsigned long long>(" + args[1] + ") + " + integerLiteral(DType::i64, source.offset);
    return std::string("Draw<") + registerType(source.dtype) + ">::" + opcodeName(source.op) + "(" + args[0] + ", " +
           counter + ", " + args[2] + ")";
  }
  return wrapped(source.op, source.dtype,
                 source.argCount == 1 ? unary(source.op, operand.dtype, args) : binary(source.op, operand.dtype, args));
}

}  // namespace heddle::cuda
