// Runs the kernel tests of every family, or with `time` as argument the target cases of each.
#include <cstring>

#include "families.h"
#include "kernel_test.h"

int main(int count, char** arguments) {
  using namespace heddle::test;
  if (count > 1 && std::strcmp(arguments[1], "time") == 0) {
    timeFused();
    timeMatmul();
    timeAttention();
    timeConv();
    timeSoftmax();
    timeLayerNorm();
    timeOptimizers();
    timePooling();
    timeBatchNorm();
    return 0;
  }
  testFusedWalks();
  testFusedOps();
  testFusedDraws();
  testMatmul();
  testMatmulPacked();
  testAttention();
  testConv();
  testConvWinograd();
  testSoftmax();
  testLayerNorm();
  testOptimizers();
  testArgReduce();
  testIndexing();
  testMovement();
  testPooling();
  testBatchNorm();
  testQuantized();
  testTeam();
  return finish();
}
