// Division by a multiplication and a shift, of 32 and of 64 bits, against the processor's own.
#include "divide_test.h"

#include <random>
#include <vector>

#include "../emulation/cuda_runtime.h"
// After the built-ins, as in nvcc.
#include "../../cuda/device/divide.h"
#include "../cpu/kernel_test.h"

namespace heddle::test {

namespace {

/// Divisors and dividends from 1 to 2^bits - 1: small ones, those beside powers of two, and drawn ones of every length.
template <typename Offset>
void testDivider(const std::string& name, int bits) {
  std::mt19937_64 random(7);
  const Offset last = static_cast<Offset>((uint64_t{1} << bits) - 1);
  std::vector<Offset> numbers{last, static_cast<Offset>(last - 1)};
  for (Offset small = 1; small < 20; small++) numbers.push_back(small);
  for (int power = 5; power < bits; power++) {
    const Offset two = static_cast<Offset>(Offset{1} << power);
    for (const Offset number : {static_cast<Offset>(two - 1), two, static_cast<Offset>(two + 1),
                                static_cast<Offset>(two | (static_cast<Offset>(random()) & (two - 1)))})
      numbers.push_back(number);
  }
  bool right = true;
  for (const Offset divisor : numbers) {
    const cuda::Divider<Offset> divider(static_cast<int64_t>(divisor));
    right = right && divider.quotient(0) == 0;
    for (const Offset dividend : numbers) {
      Offset position = dividend;
      const Offset rest = cuda::split(position, divider);
      right = right && position == dividend / divisor && rest == dividend % divisor;
    }
  }
  expectTrue("division of " + name, right);
}

}  // namespace

void testDivision() {
  testDivider<uint32_t>("32 bits", 31);
  testDivider<uint64_t>("64 bits", 63);
}

}  // namespace heddle::test
