// Runs kernel tests of the CPU's against the CUDA backend on its emulation, whose device memory is the host's.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <span>

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

namespace {

struct Family {
  const char* name;
  void (*test)();
};

constexpr Family FAMILIES[] = {
    {"tensor-cores", testTensorCores},
    {"division", testDivision},
    {"matmul", testMatmul},
    {"attention", [] { testAttention(true); }},
    {"conv", testConv},
    {"arg-reduce", testArgReduce},
    {"indexing", testIndexing},
    {"movement", testMovement},
    {"pooling", testPooling},
    {"batch-norm", testBatchNorm},
    {"products", testProducts},
    {"convolutions", testConvolutions},
    {"fused-walks", testFusedWalks},
    {"fused-ops", testFusedOps},
    {"fused-draws", testFusedDraws},
};

}  // namespace

}  // namespace heddle::test

/// Runs all tests, or those of the families named; with `--list`, names them; with `tell` and a number of columns, runs
/// one product and prints how its sums were split.
int main(int count, char** arguments) {
  using namespace heddle::test;
  if (count == 3 && std::strcmp(arguments[1], "tell") == 0) {
    std::printf("%g\n", productThatTells(std::atoll(arguments[2])));
    return 0;
  }
  if (count == 2 && std::strcmp(arguments[1], "--list") == 0) {
    for (const Family& family : FAMILIES) std::printf("%s\n", family.name);
    return 0;
  }
  const std::span<char*> names(arguments + 1, arguments + count);
  const auto isNamed = [&](const Family& family) {
    return std::any_of(names.begin(), names.end(),
                       [&](const char* name) { return std::strcmp(name, family.name) == 0; });
  };
  for (const char* name : names) {
    if (std::none_of(std::begin(FAMILIES), std::end(FAMILIES),
                     [&](const Family& family) { return std::strcmp(name, family.name) == 0; })) {
      std::fprintf(stderr, "there is no family of tests named '%s'\n", name);
      return 2;
    }
  }
  for (const Family& family : FAMILIES)
    if (names.empty() || isNamed(family)) family.test();
  return finish();
}
