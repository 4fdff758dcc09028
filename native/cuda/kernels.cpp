// Registers every family of CUDA kernels.
#include "kernels.h"

namespace heddle::cuda {

void registerCudaKernels(KernelTable& table) {
  registerArgReduce(table);
  registerCrossEntropy(table);
  registerGlobalNorm(table);
  registerLayerNorm(table);
  registerLayerNormGrad(table);
  registerOptimizers(table);
  registerSoftmax(table);
}

}  // namespace heddle::cuda
