// Tests of device/divide.h.
#pragma once

namespace heddle::test {

void testDivision();

}  // namespace heddle::test
