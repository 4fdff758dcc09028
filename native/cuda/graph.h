// CUDA graphs: what the stream is given between two calls, recorded and launched as one.
#pragma once

#include "../core/backend.h"
#include "context.h"

namespace heddle::cuda {

void beginCapture(Context& context);
/// Throws Error where something in between cannot be captured; the stream is usable again either way.
std::unique_ptr<Recording> endCapture(Context& context);

}  // namespace heddle::cuda
