// The test and timing functions of each kernel family.
#pragma once

namespace heddle::test {

void testFusedWalks();
void testFusedOps();
void testFusedDraws();
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

}  // namespace heddle::test
