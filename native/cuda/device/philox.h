// Draws from Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, 2011), as
// lib/schema/program.ts defines them: a draw's element is found from its position alone. Includes nothing of the host,
// for generated sources include it too.
#pragma once

namespace heddle::cuda {

struct PhiloxBlock {
  unsigned word[4];
};

/// Counter and key words are the halves of their 64 bits, low half first; the counter's upper 64 bits are 0.
__device__ inline PhiloxBlock philox(unsigned long long counter, unsigned long long seed) {
  unsigned x0 = static_cast<unsigned>(counter), x1 = static_cast<unsigned>(counter >> 32), x2 = 0, x3 = 0;
  unsigned k0 = static_cast<unsigned>(seed), k1 = static_cast<unsigned>(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const unsigned high0 = __umulhi(0xD2511F53u, x0), low0 = 0xD2511F53u * x0;
    const unsigned high1 = __umulhi(0xCD9E8D57u, x2), low1 = 0xCD9E8D57u * x2;
    x0 = high1 ^ x1 ^ k0;
    x1 = low1;
    x2 = high0 ^ x3 ^ k1;
    x3 = low0;
    k0 += 0x9E3779B9u;  // the golden ratio's and sqrt(3) - 1's bits
    k1 += 0xBB67AE85u;
  }
  return {{x0, x1, x2, x3}};
}

__device__ inline float unitFloat(unsigned word) { return static_cast<float>(word >> 8) * 0x1p-24f; }
__device__ inline double unitDouble(unsigned high, unsigned low) {
  return (static_cast<double>(high >> 6) * 0x1p26 + static_cast<double>(low >> 6)) * 0x1p-52;
}

/// ln x for x in (0, 1]: of m * 2^e, m in [sqrt(1/2), sqrt(2)), where log1p(m - 1) is a fit f - f^2/2 + f^3 p(f).
__device__ inline float logOfUnit(float x) {
  const int bits = __float_as_int(x) - 0x3f3504f3;
  const float f = __int_as_float((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
  const float e = static_cast<float>(bits >> 23);
  float p = 6.915447263e-2f;
  p = fmaf(p, f, -1.178993354e-1f);
  p = fmaf(p, f, 1.187300834e-1f);
  p = fmaf(p, f, -1.238433066e-1f);
  p = fmaf(p, f, 1.421865180e-1f);
  p = fmaf(p, f, -1.666925156e-1f);
  p = fmaf(p, f, 2.000222693e-1f);
  p = fmaf(p, f, -2.499998659e-1f);
  p = fmaf(p, f, 3.333331044e-1f);
  const float square = f * f;
  const float low = fmaf(p * f, square, e * -2.12194440e-4f);
  return fmaf(e, 0.693359375f, fmaf(-0.5f, square, low) + f);
}

/// The cosine's normal of a pair of words, or the sine's. 2 pi u2 is split into quarter turns exactly, and sin and cos
/// of the rest, a fraction f of a quarter turn, |f| <= 1/2, are minimax fits: no rounded product by pi comes near their
/// zeros.
__device__ inline float boxMuller(unsigned word1, unsigned word2, bool sine) {
  const float radius = sqrtf(-2.0f * logOfUnit(1.0f - unitFloat(word1)));
  const float turns = unitFloat(word2) * 4.0f;
  const float whole = rintf(turns);
  const float f = turns - whole;
  const float z = f * f;
  float s = 1.582067378e-4f;
  s = fmaf(s, z, -4.681266474e-3f);
  s = fmaf(s, z, 7.969258276e-2f);
  s = fmaf(s, z, -6.459640961e-1f);
  s = fmaf(s, z, 1.570796327f);
  s = s * f;
  float c = 9.040216337e-4f;
  c = fmaf(c, z, -2.086028849e-2f);
  c = fmaf(c, z, 2.536692440e-1f);
  c = fmaf(c, z, -1.233700543f);
  c = fmaf(c, z, 1.0f);
  // Sine is cosine a quarter turn earlier.
  const int quarter = (static_cast<int>(whole) - (sine ? 1 : 0)) & 3;
  const float value = quarter & 1 ? -s : c;
  return radius * (quarter & 2 ? -value : value);
}
__device__ inline double boxMuller(double u1, double u2, bool sine) {
  const double radius = sqrt(-2.0 * log(1.0 - u1));
  const double turns = u2 * 4.0;
  const double whole = rint(turns);
  const double angle = (turns - whole) * 1.57079632679489661923;
  const int quarter = (static_cast<int>(whole) - (sine ? 1 : 0)) & 3;
  const double value = quarter & 1 ? -sin(angle) : cos(angle);
  return radius * (quarter & 2 ? -value : value);
}

/// Element `index` of the draw whose first block is `counter`.
template <typename T>
struct Draw;
template <>
struct Draw<float> {
  __device__ static float uniform(long long seed, unsigned long long counter, unsigned long long index) {
    const PhiloxBlock block = philox(counter + (index >> 2), static_cast<unsigned long long>(seed));
    const unsigned low = index & 1 ? block.word[1] : block.word[0];
    const unsigned high = index & 1 ? block.word[3] : block.word[2];
    return unitFloat(index & 2 ? high : low);
  }
  __device__ static float normal(long long seed, unsigned long long counter, unsigned long long index) {
    const PhiloxBlock block = philox(counter + (index >> 2), static_cast<unsigned long long>(seed));
    return boxMuller(index & 2 ? block.word[2] : block.word[0], index & 2 ? block.word[3] : block.word[1],
                     (index & 1) != 0);
  }
};
template <>
struct Draw<double> {
  __device__ static double uniform(long long seed, unsigned long long counter, unsigned long long index) {
    const PhiloxBlock block = philox(counter + (index >> 1), static_cast<unsigned long long>(seed));
    return index & 1 ? unitDouble(block.word[2], block.word[3]) : unitDouble(block.word[0], block.word[1]);
  }
  __device__ static double normal(long long seed, unsigned long long counter, unsigned long long index) {
    const PhiloxBlock block = philox(counter + (index >> 1), static_cast<unsigned long long>(seed));
    return boxMuller(unitDouble(block.word[0], block.word[1]), unitDouble(block.word[2], block.word[3]),
                     (index & 1) != 0);
  }
};

}  // namespace heddle::cuda
