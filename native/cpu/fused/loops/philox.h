// Philox for the loops of one instruction-set level.
#pragma once

#include "level.h"

namespace heddle::fused::HEDDLE_LEVEL {
#include "../../philox_loops.h"
}  // namespace heddle::fused::HEDDLE_LEVEL
