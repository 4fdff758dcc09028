// Registers every family of CUDA kernels.
#include "kernels.h"

namespace heddle::cuda {

void registerCudaKernels(KernelTable& table) {
  registerAvgPool(table);
  registerBatchNorm(table);
  registerConcatPad(table);
  registerConv(table);
  registerFused(table);
  registerIndexing(table);
  registerMatmul(table);
  registerMaxPool(table);
  registerScatter(table);
  registerSoftmax(table);
}

}  // namespace heddle::cuda
