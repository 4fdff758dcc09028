// Registers every family of CUDA kernels.
#include "kernels.h"

namespace heddle::cuda {

void registerCudaKernels(KernelTable& table) {
  registerArgReduce(table);
  registerAttention(table);
  registerAvgPool(table);
  registerBatchNorm(table);
  registerConcatPad(table);
  registerConv(table);
  registerCrossEntropy(table);
  registerFused(table);
  registerGlobalNorm(table);
  registerIndexing(table);
  registerLayerNorm(table);
  registerLayerNormGrad(table);
  registerMatmul(table);
  registerMaxPool(table);
  registerOptimizers(table);
  registerIndexCopy(table);
  registerScatter(table);
  registerSoftmax(table);
}

}  // namespace heddle::cuda
