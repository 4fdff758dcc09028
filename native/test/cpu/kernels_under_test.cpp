// The CPU's kernels, which are done when they return.
#include "../../cpu/kernels.h"

#include "kernel_test.h"

namespace heddle::test {

const KernelTable& kernelsUnderTest() {
  static const KernelTable instance = [] {
    KernelTable table;
    registerCpuKernels(table);
    return table;
  }();
  return instance;
}

void finishQueued() {}

bool compilesPrograms() { return false; }

}  // namespace heddle::test
