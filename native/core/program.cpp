// Decodes the words of a fused program and refuses whatever is not one.
#include "program.h"

#include <string>

namespace heddle {
namespace {

constexpr int64_t kMostAxes = 64;
constexpr int64_t kMostInstructions = 1 << 16;

const char* const kOpcodeNames[] = {
    "load", "iota",   "constant",   "reduce",  "neg",     "abs",  "sign",  "floor",    "ceil",  "round", "trunc",
    "sqrt", "rsqrt",  "reciprocal", "exp",     "expm1",   "exp2", "log",   "log1p",    "log2",  "sin",   "cos",
    "tan",  "asin",   "acos",       "atan",    "sinh",    "cosh", "tanh",  "asinh",    "acosh", "atanh", "erf",
    "erfc", "erfinv", "lgamma",     "digamma", "sigmoid", "not",  "isNaN", "isFinite", "cast",  "add",   "sub",
    "mul",  "div",    "floorDiv",   "mod",     "pow",     "max",  "min",   "atan2",    "eq",    "ne",    "lt",
    "le",   "gt",     "ge",         "and",     "or",      "xor",  "where", "uniform",  "normal"};
static_assert(std::size(kOpcodeNames) == static_cast<size_t>(Opcode::count));

bool isFloat(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16;
}

const char* name(DType dtype) { return kDTypeNames[static_cast<int>(dtype)]; }

[[noreturn]] void refuse(size_t position, const Instruction& instruction, const std::string& why) {
  throw Error(ErrorCode::invalidPlan, "fused: instruction " + std::to_string(position) + " (" +
                                          opcodeName(instruction.op) + " " + name(instruction.dtype) + ") " + why);
}

int arity(Opcode op) {
  if (op == Opcode::where) return 3;
  if (op >= Opcode::add && op <= Opcode::xor_) return 2;
  return 1;
}

bool givesBool(Opcode op) {
  return op == Opcode::not_ || op == Opcode::isNaN || op == Opcode::isFinite ||
         (op >= Opcode::eq && op <= Opcode::xor_);
}

/// The dtype that the arguments of `op` share may be this one.
bool takes(Opcode op, DType dtype) {
  switch (op) {
    case Opcode::cast:
    case Opcode::max:
    case Opcode::min:
    case Opcode::where:
    case Opcode::eq:
    case Opcode::ne:
    case Opcode::lt:
    case Opcode::le:
    case Opcode::gt:
    case Opcode::ge: return true;
    case Opcode::neg:
    case Opcode::abs:
    case Opcode::sign:
    case Opcode::add:
    case Opcode::sub:
    case Opcode::mul:
    case Opcode::floorDiv:
    case Opcode::mod:
    case Opcode::pow:
    case Opcode::iota: return dtype != DType::bool_;
    case Opcode::not_:
    case Opcode::and_:
    case Opcode::or_:
    case Opcode::xor_: return dtype == DType::bool_;
    default: return isFloat(dtype);
  }
}

class Decoder {
 public:
  explicit Decoder(std::span<const double> words) : words_(words) {}

  Program decode() {
    const int64_t rank = words_.below(kMostAxes + 1);
    double total = 1;
    for (int64_t axis = 0; axis < rank; axis++) {
      const int64_t extent = words_.integer();
      if (extent < 0) throw Error(ErrorCode::invalidPlan, "fused: an extent is negative");
      program_.extents.push_back(extent);
      if (extent > 0) total *= static_cast<double>(extent);
    }
    if (total > 9007199254740991.0)
      throw Error(ErrorCode::invalidPlan, "fused: the loop nest has more than 2^53 coordinates");
    for (int64_t axis = 0; axis < rank; axis++) program_.reduced.push_back(words_.flag());
    const int64_t count = words_.below(kMostInstructions);
    for (int64_t i = 0; i < count; i++) instruction(static_cast<size_t>(i));
    const int64_t stores = words_.below(kMostInstructions);
    for (int64_t i = 0; i < stores; i++) store(i);
    if (!words_.done()) throw Error(ErrorCode::invalidPlan, "fused: words are left after the program");
    checkAfterReduce();
    return std::move(program_);
  }

 private:
  void instruction(size_t position) {
    Instruction next;
    next.op = words_.enumerator<Opcode>(static_cast<int64_t>(Opcode::count));
    next.dtype = words_.enumerator<DType>(static_cast<int64_t>(DType::count));
    const int64_t rank = static_cast<int64_t>(program_.extents.size());
    switch (next.op) {
      case Opcode::load:
        next.input = words_.below(int64_t{1} << 31);
        next.strides = words_.integers(rank);
        break;
      case Opcode::iota:
        next.start = words_.integer();
        next.strides = words_.integers(rank);
        if (!takes(next.op, next.dtype)) refuse(position, next, "cannot count in bool");
        break;
      case Opcode::constant: next.value = words_.number(); break;
      case Opcode::reduce:
        next.reduction = words_.enumerator<Reduction>(static_cast<int64_t>(Reduction::count));
        argument(position, next);
        if (program_.reduce >= 0) refuse(position, next, "is a second reduce; a program has at most one");
        if (dtypeOf(next.args[0]) != next.dtype) refuse(position, next, "reduces a value of another dtype");
        if (next.dtype == DType::bool_ && (next.reduction == Reduction::sum || next.reduction == Reduction::prod))
          refuse(position, next, "cannot sum or multiply bool; cast first");
        program_.reduce = static_cast<int>(position);
        break;
      case Opcode::uniform:
      case Opcode::normal:
        next.offset = words_.integer();
        for (int i = 0; i < 3; i++) argument(position, next);
        if (next.dtype != DType::f32 && next.dtype != DType::f64)
          refuse(position, next, "draws f32 or f64 only; cast the draw");
        for (int i = 0; i < 3; i++)
          if (dtypeOf(next.args[i]) != DType::i64) refuse(position, next, "needs i64 state and index");
        break;
      default: {
        const int64_t count = words_.integer();
        if (count != arity(next.op))
          refuse(position, next, "takes " + std::to_string(arity(next.op)) + " operands, not " + std::to_string(count));
        for (int64_t i = 0; i < count; i++) argument(position, next);
        checkDTypes(position, next);
      }
    }
    bool after = next.op == Opcode::reduce;
    for (int i = 0; i < next.argCount; i++) after = after || program_.afterReduce[static_cast<size_t>(next.args[i])];
    program_.afterReduce.push_back(after);
    program_.instructions.push_back(std::move(next));
  }

  void argument(size_t position, Instruction& next) {
    const int64_t value = words_.integer();
    if (value < 0 || value >= static_cast<int64_t>(position))
      refuse(position, next, "uses value " + std::to_string(value) + ", which is not computed before it");
    next.args[next.argCount++] = static_cast<int>(value);
  }

  DType dtypeOf(int value) const { return program_.instructions[static_cast<size_t>(value)].dtype; }

  void checkDTypes(size_t position, const Instruction& next) const {
    const int first = next.op == Opcode::where ? 1 : 0;
    if (first == 1 && dtypeOf(next.args[0]) != DType::bool_)
      refuse(position, next, std::string("needs a bool condition, not ") + name(dtypeOf(next.args[0])));
    const DType dtype = dtypeOf(next.args[first]);
    for (int i = first + 1; i < next.argCount; i++)
      if (dtypeOf(next.args[i]) != dtype)
        refuse(position, next,
               std::string("has operands of two dtypes, ") + name(dtype) + " and " + name(dtypeOf(next.args[i])));
    if (!takes(next.op, dtype)) refuse(position, next, std::string("does not take ") + name(dtype));
    if (next.op == Opcode::cast) return;
    const DType result = givesBool(next.op) ? DType::bool_ : dtype;
    if (next.dtype != result) refuse(position, next, std::string("gives ") + name(result));
  }

  void store(int64_t position) {
    Store next;
    next.value = static_cast<int>(words_.below(static_cast<int64_t>(program_.instructions.size())));
    next.dtype = words_.enumerator<DType>(static_cast<int64_t>(DType::count));
    next.strides = words_.integers(static_cast<int64_t>(program_.extents.size()));
    if (next.dtype != dtypeOf(next.value))
      throw Error(ErrorCode::invalidPlan, "fused: store " + std::to_string(position) + " writes " + name(next.dtype) +
                                              " from a value of " + name(dtypeOf(next.value)) + "; cast it first");
    program_.stores.push_back(std::move(next));
  }

  bool movesOnReduced(const std::vector<int64_t>& strides) const {
    for (size_t axis = 0; axis < strides.size(); axis++)
      if (program_.reduced[axis] && program_.extents[axis] != 1 && strides[axis] != 0) return true;
    return false;
  }

  /// What is evaluated once per kept coordinate may not depend on a reduced one.
  void checkAfterReduce() {
    std::vector<bool>& needed = program_.usedAfter;
    needed.assign(program_.instructions.size(), false);
    if (program_.reduce < 0) return;
    for (const Store& store : program_.stores) {
      if (!program_.afterReduce[static_cast<size_t>(store.value)]) continue;
      needed[static_cast<size_t>(store.value)] = true;
      if (movesOnReduced(store.strides))
        throw Error(ErrorCode::invalidPlan, "fused: the store of a reduced value has a stride on a reduced axis");
    }
    for (size_t i = program_.instructions.size(); i-- > 0;) {
      const Instruction& instruction = program_.instructions[i];
      if (!needed[i] || instruction.op == Opcode::reduce) continue;
      if (movesOnReduced(instruction.strides))
        refuse(i, instruction, "is used after the reduce but has a stride on a reduced axis");
      for (int arg = 0; arg < instruction.argCount; arg++) needed[static_cast<size_t>(instruction.args[arg])] = true;
    }
  }

  WordReader words_;
  Program program_;
};

/// The lowest and highest element a walk reaches from its start; 128 bits, for strides are any safe integer.
struct Reach {
  __int128 low = 0;
  __int128 high = 0;
  Reach(const std::vector<int64_t>& extents, const std::vector<int64_t>& strides) {
    for (size_t axis = 0; axis < extents.size(); axis++) {
      const __int128 far = static_cast<__int128>(extents[axis] - 1) * strides[axis];
      (far < 0 ? low : high) += far;
    }
  }
};

void checkOperand(const Program& program, const std::string& what, const TensorSpec& spec, DType dtype,
                  const std::vector<int64_t>& strides) {
  if (spec.dtype != dtype)
    throw Error(ErrorCode::invalidPlan,
                "fused: " + what + " is " + name(spec.dtype) + ", the program says " + name(dtype));
  if (spec.strides.size() != spec.shape.size())
    throw Error(ErrorCode::invalidPlan, "fused: " + what + " has " + std::to_string(spec.shape.size()) + " axes but " +
                                            std::to_string(spec.strides.size()) + " strides");
  const Reach walk(program.extents, strides);
  bool empty = false;
  for (const int64_t extent : spec.shape) empty = empty || extent == 0;
  const Reach operand(spec.shape, spec.strides);
  if (empty || walk.low < operand.low || walk.high > operand.high)
    throw Error(ErrorCode::invalidPlan, "fused: the program reaches beyond " + what + " at these strides");
}

}  // namespace

const char* opcodeName(Opcode op) { return kOpcodeNames[static_cast<size_t>(op)]; }

int64_t Program::elements() const {
  int64_t count = 1;
  for (const int64_t extent : extents) count *= extent;
  return count;
}

Program decodeProgram(std::span<const double> words) { return Decoder(words).decode(); }

void checkOperands(const Program& program, Specs inputs, Specs outputs) {
  if (outputs.size() != program.stores.size())
    throw Error(ErrorCode::invalidPlan, "fused: the program stores " + std::to_string(program.stores.size()) +
                                            " values, the step has " + std::to_string(outputs.size()) + " outputs");
  bool keptEmpty = false;
  bool empty = false;
  for (size_t axis = 0; axis < program.extents.size(); axis++) {
    if (program.extents[axis] != 0) continue;
    empty = true;
    keptEmpty = keptEmpty || program.reduce < 0 || !program.reduced[axis];
  }
  for (size_t i = 0; i < program.instructions.size(); i++) {
    const Instruction& load = program.instructions[i];
    if (load.op != Opcode::load) continue;
    if (load.input >= static_cast<int64_t>(inputs.size()))
      refuse(i, load, "reads input " + std::to_string(load.input) + " of " + std::to_string(inputs.size()));
    // An empty loop nest reads nothing, so an operand without elements is right there.
    if (!empty || (!keptEmpty && program.usedAfter[i]))
      checkOperand(program, "input " + std::to_string(load.input), inputs[static_cast<size_t>(load.input)], load.dtype,
                   load.strides);
  }
  for (size_t i = 0; i < outputs.size(); i++)
    if (!empty || (!keptEmpty && program.afterReduce[static_cast<size_t>(program.stores[i].value)]))
      checkOperand(program, "output " + std::to_string(i), outputs[i], program.stores[i].dtype,
                   program.stores[i].strides);
}

}  // namespace heddle
