// Finds the instruction-set level of the processor.
#include "levels.h"

namespace heddle {

Level instructionLevel() {
#if HEDDLE_HAS_LEVELS
  static const Level level = __builtin_cpu_supports("x86-64-v4")   ? Level::v4
                             : __builtin_cpu_supports("x86-64-v3") ? Level::v3
                                                                   : Level::base;
  return level;
#else
  return Level::base;
#endif
}

bool hasLowestLevel() {
#if HEDDLE_HAS_LEVELS
  return __builtin_cpu_supports("x86-64-v2");
#else
  return true;
#endif
}

}  // namespace heddle
