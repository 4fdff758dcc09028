// The register functions of the CUDA backend's kernel families; the backend calls each once per device.
#pragma once

#include "../core/kernel.h"

namespace heddle::cuda {

void registerArgReduce(KernelTable& table);
void registerCrossEntropy(KernelTable& table);
void registerGlobalNorm(KernelTable& table);
void registerLayerNorm(KernelTable& table);
void registerLayerNormGrad(KernelTable& table);
void registerOptimizers(KernelTable& table);
void registerSoftmax(KernelTable& table);

/// Every family above, in one call.
void registerCudaKernels(KernelTable& table);

}  // namespace heddle::cuda
