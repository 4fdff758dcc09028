// The test and timing functions of each kernel family.
#pragma once

namespace heddle::test {

void testFusedWalks();
void testFusedOps();
void testFusedDraws();
void timeFused();
void testMatmul();
void testMatmulPacked();
void timeMatmul();
/// `roundsWeights`: the device multiplies weights that are rounded to the dtype, as tensor cores do.
void testAttention(bool roundsWeights = false);
void timeAttention();
void testConv();
void testConvWinograd();
void timeConv();
void testSoftmax();
void testLayerNorm();
void timeSoftmax();
void timeLayerNorm();
void testOptimizers();
void testArgReduce();
void testIndexing();
void timeOptimizers();
void testMovement();
void testPooling();
void timePooling();
void testBatchNorm();
void timeBatchNorm();
void testQuantized();
void testTeam();

}  // namespace heddle::test
