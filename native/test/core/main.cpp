// Runs every test of the core.
#include <cstdio>

#include "core_test.h"

namespace heddle::test {
namespace {

int passed = 0, failed = 0;

}  // namespace

void expect(bool condition, const char* what) {
  condition ? passed++ : failed++;
  if (!condition) std::printf("FAILED: %s\n", what);
}

}  // namespace heddle::test

int main() {
  heddle::test::testExecutor();
  heddle::test::testHeap();
  heddle::test::testPlacement();
  heddle::test::testSpinning();
  heddle::test::testWalks();
  std::printf("%d passed, %d failed\n", heddle::test::passed, heddle::test::failed);
  return heddle::test::failed == 0 ? 0 : 1;
}
