// Decides where results go by how large they are, how they lie in memory, and what is still read.
#include "store_places.h"

#include <limits>

#include "../stream.h"
#include "representation.h"

namespace heddle::fused {
namespace {

size_t at(int position) { return static_cast<size_t>(position); }

}  // namespace

bool beyondCaches(const Program& program, DType dtype) {
  return program.elements() * kDTypeBytes[static_cast<int>(dtype)] >= kBeyondCaches;
}

bool streams(const Program& program) {
  // Of what is reduced the accumulators' places depend on the tiles, which are chosen anew.
  if (program.reduce >= 0) return false;
  for (const Store& store : program.stores)
    if (plain(store.dtype) && beyondCaches(program, store.dtype)) return true;
  return false;
}

int StorePlaces::lastUse(const PhaseContents& state, int load) const {
  int last = load;
  for (size_t i = 0; i < program_.instructions.size(); i++) {
    if (!state.needed[i] || program_.instructions[i].op == Opcode::reduce) continue;
    for (int arg = 0; arg < program_.instructions[i].argCount; arg++)
      if (program_.instructions[i].args[arg] == load) last = static_cast<int>(i);
  }
  if (program_.reduce >= 0 && &state == &classes_.before && program_.instructions[at(program_.reduce)].args[0] == load)
    last = std::numeric_limits<int>::max();
  for (const int store : state.stores)
    if (program_.stores[at(store)].value == load) last = std::numeric_limits<int>::max();
  return last;
}

int StorePlaces::direct(const Phase& phase, const PhaseContents& state, int i, bool moves, bool turned) const {
  for (const int s : state.stores) {
    const Store& store = program_.stores[at(s)];
    if (store.value != i || (!turned && past(phase, s))) continue;
    const int access = classes_.storeAccess[at(s)];
    const bool fits = moves ? tile_.columnStride(phase, access) == 1 : plain(store.dtype) && tile_.flat(phase, access);
    if (!fits) continue;
    bool free = true;
    for (size_t load = 0; load < program_.instructions.size() && free; load++) {
      if (!state.needed[load] || program_.instructions[load].op != Opcode::load) continue;
      if (static_cast<int>(load) == i || program_.instructions[load].strides != store.strides) continue;
      free = lastUse(state, static_cast<int>(load)) <= i;
    }
    if (free) return s;
  }
  return -1;
}

bool StorePlaces::past(const Phase& phase, int s) const {
  const Store& store = program_.stores[at(s)];
  return stores_ == Stores::streaming && plain(store.dtype) && beyondCaches(program_, store.dtype) &&
         tile_.flat(phase, classes_.storeAccess[at(s)]);
}

}  // namespace heddle::fused
