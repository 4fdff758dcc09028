// The register functions of the CPU backend's kernel families; the backend calls each once.
#pragma once

#include "../core/kernel.h"

namespace heddle {

void registerMatmul(KernelTable& table);
void registerAttention(KernelTable& table);
void registerConv(KernelTable& table);
void registerSoftmax(KernelTable& table);
void registerLayerNorm(KernelTable& table);
void registerFused(KernelTable& table);

/// Every family above, in one call.
void registerCpuKernels(KernelTable& table);

}  // namespace heddle
