// What a reduction's accumulators start from, and the result of reducing nothing.
#pragma once

#include <cstdint>

#include "../../core/program.h"

namespace heddle::fused {

/// The bits of an accumulator (f64 for floats, i64 for integers and bool) before the first value.
int64_t reductionIdentity(Reduction reduction, DType dtype);

}  // namespace heddle::fused
