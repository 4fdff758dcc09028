// Registers every family of CPU kernels.
#include "kernels.h"

#include "fused/fused.h"

namespace heddle {

void registerCpuKernels(KernelTable& table) {
  registerFused(table);
  registerMatmul(table);
  registerAttention(table);
  registerConv(table);
  registerSoftmax(table);
  registerCrossEntropy(table);
  registerLayerNorm(table);
  registerOptimizers(table);
  registerIndexing(table);
  registerConcatPad(table);
  registerArgReduce(table);
  registerMaxPool(table);
  registerAvgPool(table);
  registerBatchNorm(table);
  registerQuantizedMatmul(table);
  registerQuantizedConv(table);
  registerMachine(table);
}

}  // namespace heddle
