// Registers every family of CUDA kernels.
#include "kernels.h"

namespace heddle::cuda {

void registerCudaKernels(KernelTable& table) {
  registerConv(table);
  registerMatmul(table);
  registerFused(table);
  registerSoftmax(table);
}

}  // namespace heddle::cuda
