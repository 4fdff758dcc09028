// Every load of a coordinate comes before its first store: operands may be updated in place.
#include "body.h"

#include <cstdlib>

#include "expression.h"

namespace heddle::cuda {
namespace {

size_t at(int position) { return static_cast<size_t>(position); }
std::string numbered(const char* name, size_t number) { return name + std::to_string(number); }

}  // namespace

bool usesRandom(const Program& program) {
  for (const Instruction& instruction : program.instructions)
    if (instruction.op == Opcode::uniform || instruction.op == Opcode::normal) return true;
  return false;
}

Body::Body(const Program& program, const Schedule& schedule, Text& text)
    : program_(program), schedule_(schedule), text_(text) {
  for (size_t a = 0; a < schedule.accesses.size(); a++)
    if (schedule.accesses[a].kind == Access::Kind::store) storeAccess_.push_back(static_cast<int>(a));
  const bool rows = schedule.kind == Schedule::Kind::rows;
  const std::vector<Axis>& packs = rows ? schedule.reduced : schedule.kept;
  for (size_t i = 0; i < program.instructions.size(); i++) {
    const Instruction& instruction = program.instructions[i];
    // What follows the reduction is never printed before it, however little it varies.
    bool onPack = false, onReduced = false, varies = program.afterReduce[i];
    if (const int access = schedule.accessOf[i]; access >= 0) {
      onPack = !packs.empty() && packs.front().strides[at(access)] != 0;
      for (const Axis& axis : schedule.reduced) onReduced = onReduced || axis.strides[at(access)] != 0;
      for (const Axis& axis : schedule.kept) varies = varies || axis.strides[at(access)] != 0;
    }
    if (instruction.op != Opcode::reduce) {
      for (int arg = 0; arg < instruction.argCount; arg++) {
        onPack = onPack || onPack_[at(instruction.args[arg])];
        onReduced = onReduced || onReduced_[at(instruction.args[arg])];
        varies = varies || varies_[at(instruction.args[arg])];
      }
    }
    onPack_.push_back(onPack);
    onReduced_.push_back(onReduced);
    varies_.push_back(varies || onReduced);
  }
}

bool Body::packed(const Phase& phase, int access, int pack) const {
  if (pack == 1 || (schedule_.kind != Schedule::Kind::elements && &phase == &schedule_.after)) return false;
  return (schedule_.kind == Schedule::Kind::rows ? schedule_.reduced : schedule_.kept).front().strides[at(access)] == 1;
}

void Body::start(std::vector<const Phase*> phases) {
  const size_t count = program_.instructions.size();
  uniform_.assign(count, false);
  hoisted_.assign(count, false);
  std::vector<bool> needed(count, false);
  for (const Phase* phase : phases) {
    if (!phase) continue;
    for (size_t i = 0; i < count; i++) {
      if (!phase->needed[i]) continue;
      const Instruction& load = program_.instructions[i];
      if (load.op == Opcode::load && !needed[i]) {
        const std::string type = memoryType(load.dtype);
        text_.line("const " + type + "* const in" + std::to_string(i) + " = static_cast<const " + type +
                   "*>(operands.inputs[" + std::to_string(load.input) + "]);");
      }
      needed[i] = true;
    }
    for (const int s : phase->stores) {
      const std::string type = memoryType(program_.stores[at(s)].dtype), number = std::to_string(s);
      text_.line(type + "* const out" + number + " = static_cast<" + type + "*>(operands.outputs[" + number + "]);");
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (!needed[i] || varies_[i]) continue;
    statement(i, "", 1);
    uniform_[i] = true;
  }
}

void Body::coordinates(Side side, const std::string& linear, int pack, size_t from) {
  const std::vector<Axis>& axes = side == Side::kept ? schedule_.kept : schedule_.reduced;
  const char* const name = side == Side::kept ? "k" : "r";
  const std::string suffix = schedule_.wide ? "ull" : "u";
  std::string rest = linear;
  for (size_t i = from; i < axes.size(); i++) {
    const std::string count = std::to_string(axes[i].extent / (i == 0 ? pack : 1)) + suffix;
    std::string coordinate = i + 1 < axes.size() ? rest + " % " + count : rest;
    if (i == 0 && pack > 1) coordinate += " * " + std::to_string(pack) + suffix;
    text_.line("const Index " + numbered(name, i) + " = static_cast<Index>(" + coordinate + ");");
    rest += " / " + count;
  }
}

void Body::fill() {
  for (size_t i = 0; i < program_.instructions.size(); i++)
    if (schedule_.turned[i] && schedule_.after.needed[i])
      text_.line("tile" + std::to_string(i) + "[x][y] = in" + std::to_string(i) + "[" + offset(schedule_.accessOf[i]) +
                 "];");
}

std::string Body::offset(int access) const {
  std::string text;
  for (const Side side : {Side::kept, Side::reduced}) {
    const std::vector<Axis>& axes = side == Side::kept ? schedule_.kept : schedule_.reduced;
    for (size_t i = 0; i < axes.size(); i++) {
      const int64_t stride = axes[i].strides[at(access)];
      if (stride == 0) continue;
      if (!text.empty()) text += " + ";
      text += numbered(side == Side::kept ? "k" : "r", i);
      if (stride != 1) text += " * static_cast<Index>(" + std::to_string(stride) + ")";
    }
  }
  return text.empty() ? "0" : text;
}

std::string Body::raw(size_t load, int pack) const {
  if (pack > 1 && onPack_[load]) return numbered("pack", load) + ".element[k]";
  return numbered("element", load);
}

void Body::load(const Phase& phase, size_t position, int pack) {
  const Instruction& source = program_.instructions[position];
  const int access = schedule_.accessOf[position];
  const std::string number = std::to_string(position), type = memoryType(source.dtype);
  if (packed(phase, access, pack)) {
    const std::string count = std::to_string(pack);
    text_.line("const Pack<" + type + ", " + count + "> pack" + number + " = " +
               (schedule_.aligned[at(access)] ? "loadPack<" : "loadEach<") + count + ">(in" + number + " + (" +
               offset(access) + "));");
    return;
  }
  const bool turned = schedule_.kind == Schedule::Kind::turned && schedule_.turned[position];
  text_.line("const " + type + " element" + number + " = " +
             (turned ? "tile" + number + "[x][y]" : "in" + number + "[" + offset(access) + "]") + ";");
  value(position, fromMemory(source.dtype, "element" + number));
}

void Body::value(size_t position, const std::string& expression) {
  text_.line(std::string("const ") + registerType(program_.instructions[position].dtype) + " " +
             numbered("v", position) + " = " + expression + ";");
}

/// A value of one coordinate, of the pack's element `k` where it changes along the pack.
void Body::statement(size_t position, const std::string& total, int pack) {
  const Instruction& source = program_.instructions[position];
  const bool inPack = pack > 1 && onPack_[position];
  switch (source.op) {
    case Opcode::load:
      if (inPack) return value(position, fromMemory(source.dtype, raw(position, pack)));
      return load(schedule_.after, position, 1);
    case Opcode::iota: {
      const int access = schedule_.accessOf[position];
      // Offsets fit Index; where the start is near, so does the sum.
      const bool near = std::abs(source.start) < (1 << 27);
      std::string number =
          near ? "static_cast<Index>(" + std::to_string(source.start) + ")" : std::to_string(source.start) + "ll";
      number += " + (" + offset(access) + ")";
      if (inPack) {
        const std::vector<Axis>& axes = schedule_.kind == Schedule::Kind::rows ? schedule_.reduced : schedule_.kept;
        number += " + k * static_cast<Index>(" + std::to_string(axes.front().strides[at(access)]) + ")";
      }
      const bool bytes = source.dtype == DType::i8 || source.dtype == DType::u8;
      const std::string type = registerType(source.dtype);
      return value(position, bytes ? (source.dtype == DType::i8 ? "toI8(" : "toU8(") + number + ")"
                                   : "static_cast<" + type + ">(" + number + ")");
    }
    case Opcode::constant: return value(position, literal(source.dtype, source.value));
    case Opcode::reduce: return value(position, fromAccumulator(source.dtype, total));
    default: {
      std::vector<std::string> args;
      for (int arg = 0; arg < source.argCount; arg++) args.push_back(numbered("v", at(source.args[arg])));
      return value(position, apply(program_, static_cast<int>(position), args));
    }
  }
}

void Body::hoist(const Phase& phase) {
  for (size_t i = 0; i < program_.instructions.size(); i++) {
    if (!phase.needed[i] || has(i) || onReduced_[i]) continue;
    const bool loads = program_.instructions[i].op == Opcode::load;
    if (schedule_.pack > 1 && onPack_[i]) {
      // A pack is loaded once; what is computed of it would take as many registers again.
      if (!loads) continue;
      load(phase, i, schedule_.pack);
    } else {
      statement(i, "", 1);
    }
    hoisted_[i] = true;
  }
}

void Body::evaluate(const Phase& phase, int pack, const std::string& total) {
  const size_t count = program_.instructions.size();
  for (size_t i = 0; i < count; i++) {
    if (!phase.needed[i] || has(i)) continue;
    if (pack == 1 || !onPack_[i])
      statement(i, total, pack);
    else if (program_.instructions[i].op == Opcode::load)
      load(phase, i, pack);
  }
  if (pack > 1) {
    for (const int s : phase.stores)
      text_.line(std::string("Pack<") + memoryType(program_.stores[at(s)].dtype) + ", " + std::to_string(pack) +
                 "> result" + std::to_string(s) + ";");
    text_.line("#pragma unroll");
    text_.open("for (int k = 0; k < " + std::to_string(pack) + "; k++)");
    for (size_t i = 0; i < count; i++)
      if (phase.needed[i] && onPack_[i] && !uniform_[i]) statement(i, total, pack);
  }
  if (&phase == &schedule_.before) {
    const Instruction& reduce = program_.instructions[at(program_.reduce)];
    const std::string sum = pack > 1 ? "sum[k]" : "sum[0]";
    text_.line(sum + " = " + combination(reduce.reduction) + "::combine(" + sum + ", static_cast<" +
               accumulatorType(reduce.dtype) + ">(" + numbered("v", at(reduce.args[0])) + "));");
  }
  stores(phase, pack);
  hoisted_.assign(count, false);
}

void Body::stores(const Phase& phase, int pack) {
  for (const int s : phase.stores) {
    const Store& store = program_.stores[at(s)];
    const size_t source = at(store.value);
    const std::string number = std::to_string(s);
    // What was loaded is moved as it is.
    const std::string element = program_.instructions[source].op == Opcode::load
                                    ? raw(source, pack)
                                    : toMemory(store.dtype, numbered("v", source));
    if (pack > 1)
      text_.line("result" + number + ".element[k] = " + element + ";");
    else
      text_.line("out" + number + "[" + offset(storeAccess_[at(s)]) + "] = " + element + ";");
  }
  if (pack == 1) return;
  text_.close();
  for (const int s : phase.stores) {
    const int access = storeAccess_[at(s)];
    text_.line((schedule_.aligned[at(access)] ? "storePack<" : "storeEach<") + std::to_string(pack) + ">(out" +
               std::to_string(s) + " + (" + offset(access) + "), result" + std::to_string(s) + ");");
  }
}

}  // namespace heddle::cuda
