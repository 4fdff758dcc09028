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
  registerLayerNorm(table);
  registerFused(table);
}

}  // namespace heddle
