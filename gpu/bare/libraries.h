// What each library is measured at.
#pragma once

#include <string>

#include "timing.h"

namespace bare {

/// a [m,k] times the transpose of w [n,k], row-major, by the fastest of cuBLASLt's heuristics.
Timing matmul(Element element, int64_t m, int64_t n, int64_t k, int copies);

/// Over rows [rows, columns]; `backward` is the gradient.
Timing softmax(Element element, int64_t rows, int64_t columns, int copies, bool backward);

/// Layer norm or RMS norm over rows, while training: with the statistics, and with all gradients. Scale and bias are
/// f32.
Timing norm(Element element, int64_t rows, int64_t columns, int copies, bool rms, bool backward);

}  // namespace bare
