// Chooses the level of the loops for the processor at hand, once.
#include "loops.h"

#include "loops/table.h"

namespace heddle::fused {
namespace {

Loops choose() {
  Loops table = {};
#ifdef HEDDLE_X86_LEVELS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd")) {
    v4::fill(table);
    return table;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    v3::fill(table);
    return table;
  }
#endif
  baseline::fill(table);
  return table;
}

}  // namespace

const Loops& loops() {
  static const Loops table = choose();
  return table;
}

}  // namespace heddle::fused
