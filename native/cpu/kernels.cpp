// Registers every family of CPU kernels.
#include "kernels.h"

namespace heddle {

void registerCpuKernels(KernelTable& table) {
  registerMatmul(table);
  registerAttention(table);
  registerConv(table);
  registerSoftmax(table);
  registerLayerNorm(table);
  registerFused(table);
}

}  // namespace heddle
