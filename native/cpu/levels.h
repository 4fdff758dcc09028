// Compiles a header of loops once per x86 instruction-set level and chooses a copy when the process runs.
//
// A file of loops is written for `namespace LEVEL` and includes nothing; its user writes
//   #define HEDDLE_LOOPS "softmax_loops.h"
//   #include "for_each_level.h"
// and calls HEDDLE_DISPATCH(function<T>)(arguments). Each copy has names of its own, so no function built for a newer
// processor can be linked in the place of one for an older processor.
#pragma once

// For the loops.
#include <type_traits>
#include <utility>

namespace heddle {

enum class Level { base, v3, v4 };

/// The highest level this processor runs: x86-64-v3 is AVX2 with FMA, x86-64-v4 AVX-512.
Level instructionLevel();
/// Whether it runs the lowest level there are kernels for: on x86-64 the second (SSE4.2 and POPCNT).
bool hasLowestLevel();

}  // namespace heddle

#if defined(__x86_64__) && defined(__GNUC__)
#define HEDDLE_HAS_LEVELS 1
#define HEDDLE_DISPATCH(...)                                               \
  (::heddle::instructionLevel() == ::heddle::Level::v4   ? v4::__VA_ARGS__ \
   : ::heddle::instructionLevel() == ::heddle::Level::v3 ? v3::__VA_ARGS__ \
                                                         : base::__VA_ARGS__)
#else
#define HEDDLE_HAS_LEVELS 0
#define HEDDLE_DISPATCH(...) (base::__VA_ARGS__)
#endif
