// The register functions of the CUDA backend's kernel families; the backend calls each once per device.
#pragma once

#include "../core/kernel.h"

namespace heddle::cuda {

void registerFused(KernelTable& table);
void registerAttention(KernelTable& table);
void registerSoftmax(KernelTable& table);

/// Every family above, in one call.
void registerCudaKernels(KernelTable& table);

}  // namespace heddle::cuda
