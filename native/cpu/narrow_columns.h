// When columns are so few that several rows of them are reduced as one, and how many of those make whole vectors.
#pragma once

#include <stdint.h>

namespace heddle {

/// Up to so many columns fill vectors badly.
constexpr int64_t kMostNarrow = 64;
/// So many rows are whole vectors of any level and type, whatever the columns.
constexpr int64_t kVectorRows = 16;

}  // namespace heddle
