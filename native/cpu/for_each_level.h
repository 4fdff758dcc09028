// Includes HEDDLE_LOOPS once per instruction-set level, after the vectors it is written in; see levels.h.
// Vectors wider than the baseline's are only passed between functions that are inlined, so their ABI does not matter
// and these files are built with -Wno-psabi.

namespace heddle::base {
#include "vector.h"
#include HEDDLE_LOOPS
}  // namespace heddle::base

#if HEDDLE_HAS_LEVELS
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
namespace heddle::v3 {
#include "vector.h"
#include HEDDLE_LOOPS
}  // namespace heddle::v3
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
namespace heddle::v4 {
#include "vector.h"
#include HEDDLE_LOOPS
}  // namespace heddle::v4
#pragma GCC pop_options
#endif
#undef HEDDLE_LOOPS
