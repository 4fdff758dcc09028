// The test and timing functions of each kernel family.
#pragma once

namespace heddle::test {

void testFusedWalks();
void testFusedOps();
void timeFused();
void testMatmul();
void timeMatmul();
void testAttention();
void timeAttention();
void testConv();
void timeConv();
void testSoftmax();
void testLayerNorm();
void timeSoftmax();
void timeLayerNorm();
void testOptimizers();
void testIndexing();
void timeOptimizers();

}  // namespace heddle::test
