// Includes HEDDLE_LOOPS once per instruction-set level, after the vectors it is written in; see levels.h.
// Vectors wider than the baseline's are only passed between functions that are inlined, so their ABI does not matter
// and these files are built with -Wno-psabi.
//
// HEDDLE_VECTOR_BYTES says how wide registers are. The compiler's own macros (__AVX2__ and its like) do not: before GCC
// 13 a target pragma in C++ does not change them (https://gcc.gnu.org/PR87299), so they are those of the baseline
// throughout.

#define HEDDLE_VECTOR_BYTES 16
namespace heddle::base {
#include "vector.h"
#include HEDDLE_LOOPS
}  // namespace heddle::base
#undef HEDDLE_VECTOR_BYTES

#if HEDDLE_HAS_LEVELS
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define HEDDLE_VECTOR_BYTES 32
namespace heddle::v3 {
#include "vector.h"
#include HEDDLE_LOOPS
}  // namespace heddle::v3
#undef HEDDLE_VECTOR_BYTES
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#define HEDDLE_VECTOR_BYTES 64
namespace heddle::v4 {
#include "vector.h"
#include HEDDLE_LOOPS
}  // namespace heddle::v4
#undef HEDDLE_VECTOR_BYTES
#pragma GCC pop_options
#endif
#undef HEDDLE_LOOPS
