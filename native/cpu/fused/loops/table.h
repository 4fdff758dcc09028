// The levels there are, and the function of each that fills a table.
#pragma once

#include "../loops.h"

namespace heddle::fused {

namespace baseline {
void fill(Loops& table);
}
#ifdef HEDDLE_X86_LEVELS
namespace v3 {
void fill(Loops& table);
}
namespace v4 {
void fill(Loops& table);
}
#endif

}  // namespace heddle::fused
