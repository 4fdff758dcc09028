// Turns a fused program into block steps: which phase evaluates what, what is memory itself and what needs a register.
#include <string>

#include "classification.h"
#include "executable.h"
#include "identity.h"
#include "look_ahead.h"
#include "phase_tile.h"
#include "registers.h"
#include "representation.h"
#include "store_places.h"

namespace heddle::fused {
namespace {

size_t at(int position) { return static_cast<size_t>(position); }

class Assembler {
 public:
  Assembler(const Program& program, int64_t block, Stores stores)
      : program_(program), loops_(loops()), places_(program, classes_, tile_, stores) {
    exe_.accesses = accessesOf(program);
    exe_.geometry = planGeometry(program, exe_.accesses, block);
    exe_.reduces = program.reduce >= 0;
    classes_ = classify(program, exe_.accesses, exe_.geometry);
    for (const Access& access : exe_.accesses) {
      const bool iota = access.kind == Access::Kind::iota;
      exe_.starts.push_back(iota ? program.instructions[at(access.position)].start : 0);
    }
    const Geometry& geometry = exe_.geometry;
    exe_.before.rows = geometry.tileRows > 1;
    exe_.before.columns = geometry.tileColumns > 1;
    exe_.after.rows = exe_.before.rows && !(exe_.reduces && geometry.row.reduced);
    exe_.after.columns = exe_.before.columns && !(exe_.reduces && geometry.column.reduced);
  }

  Executable assemble() {
    emitPhase(exe_.once, classes_.once);
    if (exe_.reduces) {
      emitPhase(exe_.before, classes_.before);
      reduction();
    }
    emitPhase(exe_.after, classes_.after);
    if (exe_.before.steps.size() >= 2)
      exe_.before.ahead = lookAhead(exe_, exe_.before, classes_.before, exe_.geometry.reduced);
    if (exe_.after.steps.size() >= 2)
      exe_.after.ahead = lookAhead(exe_, exe_.after, classes_.after, exe_.geometry.kept);
    if (exe_.streamEnd) lookAheadWithStores(exe_.after);
    allocate();
    return std::move(exe_);
  }

 private:
  int newValue(int bytes, bool single) {
    values_.push_back({bytes, single, false, false});
    return exe_.values++;
  }
  int reference(const PhaseContents& state, int instruction) const {
    return classes_.uniform[at(instruction)] ? classes_.once.valueOf[at(instruction)] : state.valueOf[at(instruction)];
  }
  bool single(int value) const { return values_[at(value)].single; }

  void bindStore(Phase& phase, int store, int value) {
    values_[at(value)].memory = true;
    phase.bindings.push_back({value, classes_.storeAccess[at(store)]});
    direct_.push_back(store);
  }

  // --- instructions ---

  void emitPhase(Phase& phase, PhaseContents& state) {
    for (size_t i = 0; i < program_.instructions.size(); i++)
      if (state.needed[i]) instruction(phase, state, static_cast<int>(i));
    // Loaded values first: their memory may be that of another store (in place).
    for (const bool loads : {true, false})
      for (const int store : state.stores)
        if ((program_.instructions[at(program_.stores[at(store)].value)].op == Opcode::load) == loads)
          this->store(phase, state, store);
  }

  void instruction(Phase& phase, PhaseContents& state, int i) {
    const Instruction& source = program_.instructions[at(i)];
    switch (source.op) {
      case Opcode::load: return load(phase, state, i);
      case Opcode::iota: return iota(phase, state, i);
      case Opcode::constant: return constant(state, i);
      case Opcode::reduce: return reduceResult(phase, state, i);
      default: return compute(phase, state, i);
    }
  }

  void load(Phase& phase, PhaseContents& state, int i) {
    const DType dtype = program_.instructions[at(i)].dtype;
    const int access = classes_.accessOf[at(i)];
    const bool one = state.single || !tile_.varies(phase, access);
    const bool moves = !one && classes_.onlyStored[at(i)];
    // A transposed tile that is not only moved, or of small elements, is put together in a register, from where whole
    // rows go to memory.
    const int size = log2Bytes(dtype);
    const bool turned = tile_.rowStride(phase, access) == 1 && tile_.columnStride(phase, access) > 1;
    const int store = one || (turned && (!moves || size < 2)) ? -1 : places_.direct(phase, state, i, moves, turned);
    const int value = newValue(moves ? kDTypeBytes[static_cast<int>(dtype)] : registerBytes(dtype), one);
    state.valueOf[at(i)] = value;
    // The reduction reads after the stores, which may be in place.
    const bool readLate =
        &state == &classes_.before && !state.stores.empty() && program_.instructions[at(program_.reduce)].args[0] == i;
    if (store < 0 && plain(dtype) && (one || tile_.flat(phase, access)) && !readLate) {
      values_[at(value)].memory = true;
      phase.bindings.push_back({value, access});
      return;
    }
    if (store < 0 && !one && reducedInPlace(phase, state, i)) {
      values_[at(value)].memory = true;
      phase.bindings.push_back({value, access});
      exe_.reduceRowStride = tile_.rowStride(phase, access);
      return;
    }
    Step step{Step::Kind::load};
    step.single = one;
    step.out = value;
    step.access = access;
    step.load = moves ? loops_.move[size] : loops_.load[static_cast<int>(dtype)];
    if (turned && store >= 0) step.load = loops_.turn[beyondCaches(program_, dtype)][size - 2];
    step.rowStride = tile_.rowStride(phase, access);
    step.columnStride = tile_.columnStride(phase, access);
    if (store >= 0) {
      bindStore(phase, store, value);
      step.packed = !moves;
      step.outRowStride = tile_.rowStride(phase, classes_.storeAccess[at(store)]);
    } else if (!one && sameForEveryTile(access)) {
      step.resident = true;
      values_[at(value)].resident = true;
    }
    phase.steps.push_back(step);
  }

  /// Whether the reduction may read a load's rows where they lie, though they do not follow one another.
  bool reducedInPlace(const Phase& phase, const PhaseContents& state, int i) const {
    const Geometry& geometry = exe_.geometry;
    const int access = classes_.accessOf[at(i)];
    return &state == &classes_.before && reducesMemory(program_) &&
           program_.instructions[at(program_.reduce)].args[0] == i && phase.rows && phase.columns &&
           geometry.row.reduced != geometry.column.reduced && tile_.columnStride(phase, access) == 1 &&
           tile_.rowStride(phase, access) != 0;
  }

  bool sameForEveryTile(int access) const {
    if (exe_.geometry.columnLevel >= 0) return false;
    for (const std::vector<Level>* levels : {&exe_.geometry.kept, &exe_.geometry.reduced})
      for (const Level& level : *levels)
        if (level.steps[at(access)] != 0) return false;
    return true;
  }

  void iota(Phase& phase, PhaseContents& state, int i) {
    const Instruction& source = program_.instructions[at(i)];
    const int access = classes_.accessOf[at(i)];
    Step step{Step::Kind::count};
    step.single = state.single || !tile_.varies(phase, access);
    step.out = state.valueOf[at(i)] = newValue(registerBytes(source.dtype), step.single);
    step.access = access;
    step.count = loops_.count[static_cast<int>(classOf(source.dtype))];
    step.rowStride = tile_.rowStride(phase, access);
    step.columnStride = tile_.columnStride(phase, access);
    const bool wrapped = source.dtype == DType::i8 || source.dtype == DType::u8;
    if (!step.single && !wrapped && sameForEveryTile(access)) step.resident = values_[at(step.out)].resident = true;
    phase.steps.push_back(step);
    wrap(phase, source.dtype, step.out, step.single);
  }

  void constant(PhaseContents& state, int i) {
    const Instruction& source = program_.instructions[at(i)];
    int64_t word[2] = {};
    loops_.cast[static_cast<int>(RegisterClass::f64)][static_cast<int>(source.dtype)](word, &source.value, nullptr,
                                                                                      nullptr, 1);
    const int value = state.valueOf[at(i)] = newValue(8, true);
    values_[at(value)].memory = true;
    exe_.constants.emplace_back(value, exe_.words.size());
    exe_.words.push_back(word[0]);
  }

  void reduceResult(Phase& phase, PhaseContents& state, int i) {
    const bool one = !phase.rows && !phase.columns;
    exe_.reduceResult = newValue(registerBytes(program_.instructions[at(i)].dtype), one);
    state.valueOf[at(i)] = exe_.reduceResult;
    const int store = one ? -1 : places_.direct(phase, state, i, false);
    if (store >= 0) bindStore(phase, store, exe_.reduceResult);
  }

  /// i8 and u8 compute in 32 bits and are cut after each instruction.
  void wrap(Phase& phase, DType dtype, int value, bool single) {
    if (dtype != DType::i8 && dtype != DType::u8) return;
    push(phase, loops_.cast[static_cast<int>(RegisterClass::i32)][static_cast<int>(dtype)], value, value, value, value,
         single);
  }

  void push(Phase& phase, Compute loop, int out, int a, int b, int c, bool single) {
    Step step{Step::Kind::compute};
    step.single = single;
    step.out = out;
    step.a = a;
    step.b = b;
    step.c = c;
    step.compute = loop;
    phase.steps.push_back(step);
  }

  void compute(Phase& phase, PhaseContents& state, int i) {
    const Instruction& source = program_.instructions[at(i)];
    int args[3] = {};
    bool one = true;
    for (int arg = 0; arg < source.argCount; arg++) {
      args[arg] = reference(state, source.args[arg]);
      one = one && single(args[arg]);
    }
    const bool random = source.op == Opcode::uniform || source.op == Opcode::normal;
    if (random && !(single(args[0]) && single(args[1])))
      throw Error(ErrorCode::invalidPlan, std::string("fused: ") + opcodeName(source.op) +
                                              " needs a generator state that is the same at every coordinate");
    const int store = one || random ? -1 : places_.direct(phase, state, i, false);
    const DType operand = program_.instructions[at(source.args[source.op == Opcode::where ? 1 : 0])].dtype;
    if (source.op == Opcode::cast) {
      args[0] = rounded(phase, source.args[0], args[0], operand);
      // Memory stays what it is only until a store in place.
      if (store < 0 && sameInRegister(operand, source.dtype) && !values_[at(args[0])].memory) {
        state.valueOf[at(i)] = args[0];
        return;
      }
    }
    const int out = state.valueOf[at(i)] = newValue(registerBytes(source.dtype), one);
    if (store >= 0) bindStore(phase, store, out);
    if (random) return draw(phase, source, i, out, args, one);
    for (int arg = source.argCount; arg < 3; arg++) args[arg] = args[0];
    push(phase, loopFor(source, operand, args, one), out, args[0], args[1], args[2], one);
    if (source.op != Opcode::cast && source.op != Opcode::max && source.op != Opcode::min &&
        source.op != Opcode::where && source.op != Opcode::mod)
      wrap(phase, source.dtype, out, one);
  }

  /// A computed f16 or bf16 is an f32 until it is cast; what was loaded or cast is rounded already.
  int rounded(Phase& phase, int instruction, int value, DType dtype) {
    const Opcode op = program_.instructions[at(instruction)].op;
    if ((dtype != DType::f16 && dtype != DType::bf16) || op == Opcode::load || op == Opcode::cast ||
        op == Opcode::constant)
      return value;
    const int out = newValue(4, single(value));
    push(phase, loops_.cast[static_cast<int>(RegisterClass::f32)][static_cast<int>(dtype)], out, value, value, value,
         single(value));
    return out;
  }

  Compute loopFor(const Instruction& source, DType operand, const int* args, bool one) const {
    const int op = static_cast<int>(source.op);
    const int kind = static_cast<int>(classOf(operand));
    if (source.op == Opcode::cast) return loops_.cast[kind][static_cast<int>(source.dtype)];
    if (source.op == Opcode::where) {
      int repeats = 0;
      for (int arg = 0; arg < 3; arg++) repeats |= !one && single(args[arg]) ? 1 << arg : 0;
      return loops_.where[registerBytes(source.dtype) == 8 ? 1 : 0][repeats];
    }
    if (source.argCount == 1) return loops_.unary[op][kind];
    const Repeat repeat = one ? kNone : single(args[0]) ? kFirst : single(args[1]) ? kSecond : kNone;
    return loops_.binary[op][kind][repeat];
  }

  void draw(Phase& phase, const Instruction& source, int i, int out, const int* args, bool one) {
    const int position = program_.instructions[at(i)].args[2];
    const int kind = source.dtype == DType::f64 ? 1 : 0;
    Step step{Step::Kind::draw};
    step.single = one;
    step.out = out;
    step.a = args[0];
    step.b = args[1];
    step.c = args[2];
    step.offset = source.offset;
    step.draw = source.op == Opcode::uniform ? loops_.uniform[kind] : loops_.normal[kind];
    step.contiguous = !one && program_.instructions[at(position)].op == Opcode::iota &&
                      tile_.flat(phase, classes_.accessOf[at(position)]);
    phase.steps.push_back(step);
  }

  /// A value that is one element, repeated over the tile.
  int repeated(Phase& phase, int instruction, int value, int store) {
    const DType dtype = program_.instructions[at(instruction)].dtype;
    Step step{Step::Kind::repeat};
    step.out = newValue(registerBytes(dtype), false);
    step.a = value;
    step.load = loops_.move[registerBytes(dtype) == 8 ? 3 : 2];
    if (store >= 0) {
      bindStore(phase, store, step.out);
      step.packed = false;
      step.outRowStride = tile_.rowStride(phase, classes_.storeAccess[at(store)]);
    }
    phase.steps.push_back(step);
    return step.out;
  }

  void store(Phase& phase, PhaseContents& state, int s) {
    for (const int done : direct_)
      if (done == s) return;
    const Store& store = program_.stores[at(s)];
    const int access = classes_.storeAccess[at(s)];
    int value = reference(state, store.value);
    const bool tile = phase.rows || phase.columns;
    if (single(value) && tile) {
      const bool straight = plain(store.dtype) && tile_.columnStride(phase, access) == 1;
      const bool direct = straight && !places_.past(phase, s);
      value = repeated(phase, store.value, value, direct ? s : -1);
      if (direct) return;
    }
    Step step{Step::Kind::store};
    step.single = !tile;
    step.a = step.b = step.c = value;
    step.access = access;
    const bool moved = !classes_.uniform[at(store.value)] && classes_.onlyStored[at(store.value)] &&
                       tile_.varies(phase, access) && program_.instructions[at(store.value)].op == Opcode::load &&
                       !single(reference(state, store.value));
    step.store = moved ? loops_.moveOut[log2Bytes(store.dtype)] : loops_.store[static_cast<int>(store.dtype)];
    step.rowStride = tile_.rowStride(phase, access);
    step.columnStride = tile_.columnStride(phase, access);
    if (tile && places_.past(phase, s)) {
      step.kind = Step::Kind::stream;
      step.stream = loops_.stream;
      step.unit = kDTypeBytes[static_cast<int>(store.dtype)];
      exe_.streamEnd = loops_.streamEnd;
    }
    phase.steps.push_back(step);
  }

  void reduction() {
    const Instruction& source = program_.instructions[at(program_.reduce)];
    const int kind = static_cast<int>(source.reduction);
    const RegisterClass operand = classOf(source.dtype);
    const RegisterClass accumulator = accumulatorOf(source.reduction, operand);
    int value = reference(classes_.before, source.args[0]);
    if (single(value) && (exe_.before.rows || exe_.before.columns))
      value = repeated(exe_.before, source.args[0], value, -1);
    exe_.reduceArgument = value;
    exe_.alongRows = exe_.geometry.column.reduced || !exe_.before.columns;
    exe_.reduce = (exe_.alongRows ? loops_.reduceRows : loops_.reduceColumns)[kind][static_cast<int>(operand)];
    exe_.combine = loops_.reduceColumns[kind][static_cast<int>(accumulator)];
    exe_.finish = loops_.cast[static_cast<int>(accumulator)][static_cast<int>(resultDType(source.dtype))];
    exe_.identity = reductionIdentity(source.reduction, source.dtype);
  }

  void allocate() {
    const int64_t block = exe_.geometry.tileRows * exe_.geometry.tileColumns;
    RegisterPlan plan(values_, block);
    plan.addPhase(exe_.once, -1, -1);
    plan.addPhase(exe_.before, exe_.reduceArgument, -1);
    plan.addPhase(exe_.after, -1, exe_.reduceResult);
    plan.finish(exe_);
  }

  const Program& program_;
  const Loops& loops_;
  Executable exe_;
  PhaseTile tile_{exe_.geometry};
  Classification classes_;
  StorePlaces places_;
  std::vector<int> direct_;  // stores that need no step
  std::vector<ValuePlace> values_;
};

}  // namespace

Executable assemble(const Program& program, int64_t block, Stores stores) {
  return Assembler(program, block, stores).assemble();
}

}  // namespace heddle::fused
