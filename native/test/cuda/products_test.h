// What products and convolutions do on CUDA beyond what every device does.
#pragma once

namespace heddle::test {

void testProducts();

}  // namespace heddle::test
