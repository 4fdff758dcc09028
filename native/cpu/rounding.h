// Integers divided and rounded upwards.
#pragma once

#include <cstdint>

namespace heddle {

/// a / b for b above 0 and a from 0 on, rounded upwards.
inline int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }
/// The least multiple of `unit` that is not below `value`.
inline int64_t roundUp(int64_t value, int64_t unit) { return ceilDivide(value, unit) * unit; }

}  // namespace heddle
