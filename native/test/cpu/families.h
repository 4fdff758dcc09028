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

}  // namespace heddle::test
