// Max pooling that keeps no positions: of what no gradient flows through, bytes among it.
#pragma once

#include "../core/pooling_problem.h"

namespace heddle {

std::unique_ptr<Kernel> makeMaxPoolValues(const PoolWindows& windows, const TensorSpec& x, const TensorSpec& y);

}  // namespace heddle
