// Registers every family of CUDA kernels.
#include "kernels.h"

namespace heddle::cuda {

void registerCudaKernels(KernelTable& table) {
  registerAttention(table);
  registerFused(table);
  registerSoftmax(table);
}

}  // namespace heddle::cuda
