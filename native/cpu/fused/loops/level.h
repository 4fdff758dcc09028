// What every loop file shares: the namespace of the level it is compiled for, and how its functions are inlined.
// The loop files are compiled once per instruction-set level, so nothing here may be a std template or an inline
// function outside the level's namespace: the linker would keep one copy, perhaps of a level the processor lacks.
#pragma once

#include <math.h>
#include <stdint.h>

#include "../loops.h"

#ifndef HEDDLE_LEVEL
#define HEDDLE_LEVEL baseline
#endif

// The level's files are compiled for it as a whole, so the compiler's macros tell how wide its registers are.
#if defined(__AVX512F__)
#define HEDDLE_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define HEDDLE_VECTOR_BYTES 32
#else
#define HEDDLE_VECTOR_BYTES 16
#endif

#define HEDDLE_INLINE static inline __attribute__((always_inline))

namespace heddle::fused::HEDDLE_LEVEL {

HEDDLE_INLINE int32_t bitsOf(float x) { return __builtin_bit_cast(int32_t, x); }
HEDDLE_INLINE int64_t bitsOf(double x) { return __builtin_bit_cast(int64_t, x); }
HEDDLE_INLINE float floatOf(int32_t bits) { return __builtin_bit_cast(float, bits); }
HEDDLE_INLINE double doubleOf(int64_t bits) { return __builtin_bit_cast(double, bits); }

/// Each file of the level fills its part of the table.
void addArithmetic(Loops& table);
void addDivisions(Loops& table);
void addComparisons(Loops& table);
void addFunctions(Loops& table);
void addDoubleFunctions(Loops& table);
void addCasts(Loops& table);
void addTransfers(Loops& table);
void addTurns(Loops& table);
void addReductions(Loops& table);
void addDraws(Loops& table);

}  // namespace heddle::fused::HEDDLE_LEVEL
