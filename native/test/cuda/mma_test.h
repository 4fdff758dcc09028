// What the emulation makes of tensor cores.
#pragma once

namespace heddle::test {

void testTensorCores();

}  // namespace heddle::test
