// The CPU kernel of fused programs: elementwise chains, casts, strided copies, reductions and random draws.
#pragma once

#include "../../core/kernel.h"

namespace heddle {

void registerFused(KernelTable& table);

}  // namespace heddle
