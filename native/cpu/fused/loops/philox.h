// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, 2011).
#pragma once

#include "level.h"

namespace heddle::fused::HEDDLE_LEVEL {

struct Words {
  uint32_t word[4];
};

/// One block. Counter words and key words are the halves of their 64 bits, low half first; `high` is 0 in our draws.
HEDDLE_INLINE Words philox(uint64_t counter, uint64_t seed, uint64_t high = 0) {
  uint32_t x0 = static_cast<uint32_t>(counter);
  uint32_t x1 = static_cast<uint32_t>(counter >> 32);
  uint32_t x2 = static_cast<uint32_t>(high);
  uint32_t x3 = static_cast<uint32_t>(high >> 32);
  uint32_t k0 = static_cast<uint32_t>(seed);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t{0xD2511F53} * x0;
    const uint64_t p1 = uint64_t{0xCD9E8D57} * x2;
    const uint32_t y0 = static_cast<uint32_t>(p1 >> 32) ^ x1 ^ k0;
    const uint32_t y2 = static_cast<uint32_t>(p0 >> 32) ^ x3 ^ k1;
    x0 = y0;
    x1 = static_cast<uint32_t>(p1);
    x2 = y2;
    x3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9u;  // the golden ratio's and sqrt(3) - 1's bits
    k1 += 0xBB67AE85u;
  }
  return {{x0, x1, x2, x3}};
}

}  // namespace heddle::fused::HEDDLE_LEVEL
