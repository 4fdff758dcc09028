// What products and convolutions do on CUDA beyond what native/test/cpu asks of every device.
#pragma once

namespace heddle::test {

void testProducts();
void testConvolutions();

/// A product of f32 whose result tells how its sums were split: 1 where each is one sum along k, 0 where two halves of
/// it meet. `columns` makes its operands as large as wanted.
double productThatTells(long long columns);

}  // namespace heddle::test
