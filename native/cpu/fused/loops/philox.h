// Philox for the loops of one instruction-set level.
#pragma once

#include "level.h"

// The level's files are compiled for it as a whole, so the compiler's macros tell how wide its registers are.
#if defined(__AVX512F__)
#define HEDDLE_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define HEDDLE_VECTOR_BYTES 32
#else
#define HEDDLE_VECTOR_BYTES 16
#endif

namespace heddle::fused::HEDDLE_LEVEL {
#include "../../philox_loops.h"
}  // namespace heddle::fused::HEDDLE_LEVEL
