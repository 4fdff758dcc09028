// Means of windows along rows.
#pragma once

#include "../core/pooling_problem.h"

namespace heddle {

/// `sizes` are how many elements count of each window, by axis. Null where elements of a row lie apart, or windows are
/// far apart or long.
std::unique_ptr<Kernel> makeAvgPoolPlanes(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y,
                                          const std::array<std::vector<int64_t>, 3>& sizes);

}  // namespace heddle
