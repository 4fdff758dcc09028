// Max pooling along rows: the largest of a window's elements in each row, then the largest of its rows.
#pragma once

#include "../core/pooling_problem.h"

namespace heddle {

/// Null where vectors would gain nothing: windows of few to a row, far apart or mostly padding, results with gaps,
/// integers.
std::unique_ptr<Kernel> makeMaxPoolRows(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y,
                                        const TensorSpec& index);

}  // namespace heddle
