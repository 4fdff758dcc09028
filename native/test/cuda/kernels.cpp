// Runs kernel tests of the CPU's against the CUDA backend on its emulation, whose device memory is the host's.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../../core/backend.h"
#include "../cpu/families.h"
#include "../cpu/kernel_test.h"
#include "divide_test.h"
#include "mma_test.h"
#include "products_test.h"

extern "C" size_t heddle_backend_open(heddle::Backend** devices, size_t capacity, char* error,
                                      size_t errorLength) noexcept;

namespace heddle::test {

namespace {

Backend& backend() {
  static Backend& opened = [&]() -> Backend& {
    Backend* device = nullptr;
    char error[2048] = "";
    if (heddle_backend_open(&device, 1, error, sizeof error) == 0) throw Error(ErrorCode::unsupported, error);
    device->enterThread();
    device->beginRun();
    return *device;
  }();
  return opened;
}

}  // namespace

const KernelTable& kernelsUnderTest() { return backend().kernels(); }

void finishQueued() {
  const std::unique_ptr<Fence> fence = backend().fence();
  backend().beginRun();
  try {
    fence->wait();
  } catch (const StepError& failed) {
    throw Error(failed.error.code, failed.error.what());
  }
}

bool compilesPrograms() { return true; }

}  // namespace heddle::test

/// Runs all tests, or with `attention` its alone; with `tell` and a number of columns, one product, and prints how its
/// sums were split.
int main(int count, char** arguments) {
  using namespace heddle::test;
  if (count == 3 && std::strcmp(arguments[1], "tell") == 0) {
    std::printf("%g\n", productThatTells(std::atoll(arguments[2])));
    return 0;
  }
  if (count == 2 && std::strcmp(arguments[1], "attention") == 0) {
    testAttention(true);
    return finish();
  }
  testTensorCores();
  testDivision();
  testMatmul();
  testAttention(true);
  testConv();
  testArgReduce();
  testIndexing();
  testMovement();
  testPooling();
  testBatchNorm();
  testProducts();
  testConvolutions();
  testFusedWalks();
  testFusedOps();
  testFusedDraws();
  return finish();
}
