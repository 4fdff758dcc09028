// Sorts instructions into phases: once per run, before the reduction, after it (or, without one, everything).
#include "classification.h"

namespace heddle::fused {
namespace {

size_t at(int position) { return static_cast<size_t>(position); }

void findUniform(const Program& program, const Geometry& geometry, Classification& classes) {
  for (size_t i = 0; i < program.instructions.size(); i++) {
    const Instruction& instruction = program.instructions[i];
    bool uniform = instruction.op != Opcode::reduce;
    if (classes.accessOf[i] >= 0) uniform = geometry.uniform[at(classes.accessOf[i])];
    for (int arg = 0; arg < instruction.argCount; arg++)
      uniform = uniform && classes.uniform[at(instruction.args[arg])];
    classes.uniform.push_back(uniform);
  }
}

/// Marks what the phase's roots need; what is uniform is left to the phase that runs once.
void close(const Program& program, PhaseContents& phase, Classification& classes) {
  for (size_t i = program.instructions.size(); i-- > 0;) {
    if (!phase.needed[i]) continue;
    if (classes.uniform[i] && &phase != &classes.once) {
      phase.needed[i] = false;
      classes.once.needed[i] = true;
      continue;
    }
    const Instruction& instruction = program.instructions[i];
    if (instruction.op == Opcode::reduce) continue;
    for (int arg = 0; arg < instruction.argCount; arg++) {
      phase.needed[at(instruction.args[arg])] = true;
      classes.onlyStored[at(instruction.args[arg])] = false;
    }
  }
}

}  // namespace

Classification classify(const Program& program, const std::vector<Access>& accesses, const Geometry& geometry) {
  const size_t count = program.instructions.size();
  const bool reduces = program.reduce >= 0;
  Classification classes;
  classes.accessOf.assign(count, -1);
  for (size_t a = 0; a < accesses.size(); a++) {
    if (accesses[a].kind == Access::Kind::store)
      classes.storeAccess.push_back(static_cast<int>(a));
    else
      classes.accessOf[at(accesses[a].position)] = static_cast<int>(a);
  }
  findUniform(program, geometry, classes);
  const std::vector<bool> late = storesAfterReduce(program);
  for (PhaseContents* phase : {&classes.once, &classes.before, &classes.after}) {
    phase->needed.assign(count, false);
    phase->valueOf.assign(count, -1);
  }
  classes.once.single = true;
  classes.onlyStored.assign(count, true);
  for (size_t s = 0; s < program.stores.size(); s++) {
    const int value = program.stores[s].value;
    PhaseContents& phase = late[s] ? classes.after : classes.before;
    phase.stores.push_back(static_cast<int>(s));
    phase.needed[at(value)] = true;
  }
  if (reduces) {
    const int argument = program.instructions[at(program.reduce)].args[0];
    classes.before.needed[at(argument)] = true;
    classes.onlyStored[at(argument)] = false;
  }
  for (PhaseContents* phase : {&classes.after, &classes.before, &classes.once}) close(program, *phase, classes);
  return classes;
}

}  // namespace heddle::fused
