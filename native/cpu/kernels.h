// The register functions of the CPU backend's kernel families; the backend calls each once.
#pragma once

#include "../core/kernel.h"

namespace heddle {

void registerMatmul(KernelTable& table);
void registerAttention(KernelTable& table);
void registerConv(KernelTable& table);
void registerSoftmax(KernelTable& table);
void registerCrossEntropy(KernelTable& table);
void registerLayerNorm(KernelTable& table);
void registerOptimizers(KernelTable& table);
void registerIndexing(KernelTable& table);
void registerConcatPad(KernelTable& table);
void registerArgReduce(KernelTable& table);
void registerMaxPool(KernelTable& table);
void registerAvgPool(KernelTable& table);
void registerBatchNorm(KernelTable& table);
void registerQuantizedMatmul(KernelTable& table);
void registerQuantizedConv(KernelTable& table);
void registerMachine(KernelTable& table);

/// Every family above, in one call.
void registerCpuKernels(KernelTable& table);

}  // namespace heddle
