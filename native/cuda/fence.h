// Fences: a point in the stream, with what the kernels before it found wrong.
#pragma once

#include "../core/backend.h"
#include "context.h"
#include "staging.h"

namespace heddle::cuda {

/// Marks the stream's end as it is now. With `reported` the run's report is read too.
std::unique_ptr<Fence> makeFence(Context& context, Staging& staging, bool reported);

}  // namespace heddle::cuda
