// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, 2011); included once per
// instruction-set level, by the random loops of fused programs and by attention.

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

/// Uniforms in [0, 1), of 24 bits and of 52.
HEDDLE_INLINE float uniformOf(uint32_t word) { return static_cast<float>(static_cast<int32_t>(word >> 8)) * 0x1p-24f; }
HEDDLE_INLINE double uniformOf(uint32_t high, uint32_t low) {
  return (static_cast<double>(static_cast<int32_t>(high >> 6)) * 0x1p26 +
          static_cast<double>(static_cast<int32_t>(low >> 6))) *
         0x1p-52;
}

// Words in lanes of twice their width, so that a product needs no lanes rearranged; only the lower halves count. As
// wide as the level's registers.
constexpr int kWordBytes = HEDDLE_VECTOR_BYTES;
typedef uint64_t WordVector __attribute__((vector_size(kWordBytes)));
typedef int32_t HalfWordVector __attribute__((vector_size(kWordBytes)));
typedef long long ProductVector __attribute__((vector_size(kWordBytes)));

/// Blocks that are drawn together.
constexpr int64_t kPhiloxBlocks = kWordBytes / 8;

/// GCC does not see that the upper halves do not count, and would multiply whole lanes.
HEDDLE_INLINE WordVector multiplyWords(WordVector a, uint32_t factor) {
  const WordVector b = WordVector{} + uint64_t{factor};
#if HEDDLE_VECTOR_BYTES == 64
  const ProductVector none = {};
  return (WordVector)__builtin_ia32_pmuludq512_mask((HalfWordVector)a, (HalfWordVector)b, none, 0xff);
#elif HEDDLE_VECTOR_BYTES == 32
  return (WordVector)__builtin_ia32_pmuludq256((HalfWordVector)a, (HalfWordVector)b);
#elif defined(__SSE2__)
  return (WordVector)__builtin_ia32_pmuludq128((HalfWordVector)a, (HalfWordVector)b);
#else
  return (a & 0xffffffffu) * b;
#endif
}

/// The words of the `kPhiloxBlocks` blocks from `counter` on, in order.
HEDDLE_INLINE void philoxBlocks(uint64_t counter, uint64_t seed, uint32_t* words) {
  WordVector x0;
  for (int i = 0; i < kPhiloxBlocks; i++) x0[i] = counter + static_cast<uint64_t>(i);
  WordVector x1 = x0 >> 32, x2 = {}, x3 = {};
  uint32_t k0 = static_cast<uint32_t>(seed);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
    const WordVector p0 = multiplyWords(x0, 0xD2511F53);
    const WordVector p1 = multiplyWords(x2, 0xCD9E8D57);
    x0 = (p1 >> 32) ^ x1 ^ uint64_t { k0 };
    x2 = (p0 >> 32) ^ x3 ^ uint64_t { k1 };
    x1 = p1;
    x3 = p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const WordVector low = (x0 & 0xffffffffu) | (x1 << 32);
  const WordVector high = (x2 & 0xffffffffu) | (x3 << 32);
#if HEDDLE_VECTOR_BYTES == 64
  const WordVector first = __builtin_shufflevector(low, high, 0, 8, 1, 9, 2, 10, 3, 11);
  const WordVector second = __builtin_shufflevector(low, high, 4, 12, 5, 13, 6, 14, 7, 15);
#elif HEDDLE_VECTOR_BYTES == 32
  const WordVector first = __builtin_shufflevector(low, high, 0, 4, 1, 5);
  const WordVector second = __builtin_shufflevector(low, high, 2, 6, 3, 7);
#else
  const WordVector first = __builtin_shufflevector(low, high, 0, 2);
  const WordVector second = __builtin_shufflevector(low, high, 1, 3);
#endif
  __builtin_memcpy(words, &first, kWordBytes);
  __builtin_memcpy(words + kWordBytes / 4, &second, kWordBytes);
}
