// The register functions of the CUDA backend's kernel families; the backend calls each once per device.
#pragma once

#include "../core/kernel.h"

namespace heddle::cuda {

void registerArgReduce(KernelTable& table);
void registerAttention(KernelTable& table);
void registerAvgPool(KernelTable& table);
void registerBatchNorm(KernelTable& table);
void registerConcatPad(KernelTable& table);
void registerConv(KernelTable& table);
void registerCrossEntropy(KernelTable& table);
void registerFused(KernelTable& table);
void registerGlobalNorm(KernelTable& table);
void registerIndexing(KernelTable& table);
void registerLayerNorm(KernelTable& table);
void registerLayerNormGrad(KernelTable& table);
void registerMatmul(KernelTable& table);
void registerMaxPool(KernelTable& table);
void registerOptimizers(KernelTable& table);
void registerIndexCopy(KernelTable& table);
void registerScatter(KernelTable& table);
void registerSoftmax(KernelTable& table);

/// Every family above, in one call.
void registerCudaKernels(KernelTable& table);

}  // namespace heddle::cuda
