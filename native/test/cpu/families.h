// The test and timing functions of each kernel family.
#pragma once

namespace heddle::test {

void testMatmul();
void timeMatmul();

}  // namespace heddle::test
