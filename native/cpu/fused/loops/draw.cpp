// Random loops: uniforms and Box-Muller normals from Philox blocks, whole blocks at a time where positions are
// contiguous.
#include "exponential.h"
#include "philox.h"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

struct Pair {
  float cosine;
  float sine;
};
/// Both normals of a pair. 2 pi u2 is split into quarter turns exactly, and sin and cos of the rest, a fraction f of a
/// quarter turn, |f| <= 1/2, are minimax fits: no rounded product by pi comes near their zeros.
HEDDLE_INLINE Pair boxMuller(uint32_t word1, uint32_t word2) {
  const float radius = __builtin_sqrtf(-2.0f * logOf(1.0f - uniformOf(word1)));
  const float turns = uniformOf(word2) * 4.0f;
  const float shifted = turns + kWhole;
  const int32_t quarter = bitsOf(shifted) - bitsOf(kWhole);
  const float f = turns - (shifted - kWhole);
  const float z = f * f;
  float s = 1.582067378e-4f;
  s = s * z - 4.681266474e-3f;
  s = s * z + 7.969258276e-2f;
  s = s * z - 6.459640961e-1f;
  s = s * z + 1.570796327f;
  s = s * f;
  float c = 9.040216337e-4f;
  c = c * z - 2.086028849e-2f;
  c = c * z + 2.536692440e-1f;
  c = c * z - 1.233700543f;
  c = c * z + 1.0f;
  const float cosine = quarter & 1 ? -s : c;
  const float sine = quarter & 1 ? c : s;
  return {radius * (quarter & 2 ? -cosine : cosine), radius * (quarter & 2 ? -sine : sine)};
}

/// The element's word: a chain of selects, because an indexed one would not vectorise.
HEDDLE_INLINE uint32_t pick(const Words& block, uint32_t lane) {
  const uint32_t low = lane & 1 ? block.word[1] : block.word[0];
  const uint32_t high = lane & 1 ? block.word[3] : block.word[2];
  return lane & 2 ? high : low;
}

struct Uniform {
  HEDDLE_INLINE float one(const Words& block, uint32_t lane) { return uniformOf(pick(block, lane)); }
  HEDDLE_INLINE void all(const uint32_t* words, float* y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = uniformOf(words[i]);
  }
};
struct Normal {
  HEDDLE_INLINE float one(const Words& block, uint32_t lane) {
    const Pair pair = boxMuller(lane & 2 ? block.word[2] : block.word[0], lane & 2 ? block.word[3] : block.word[1]);
    return lane & 1 ? pair.sine : pair.cosine;
  }
  HEDDLE_INLINE void all(const uint32_t* words, float* y, int64_t n) {
    for (int64_t i = 0; i < n; i += 2) {
      const Pair pair = boxMuller(words[i], words[i + 1]);
      y[i] = pair.cosine;
      y[i + 1] = pair.sine;
    }
  }
};

template <typename F>
HEDDLE_INLINE void scattered(float* y, const int64_t* index, uint64_t seed, uint64_t counter, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const uint64_t position = static_cast<uint64_t>(index[i]);
    y[i] = F::one(philox(counter + (position >> 2), seed), static_cast<uint32_t>(position) & 3u);
  }
}

template <typename F>
void draw(void* out, const int64_t* index, uint64_t seed, uint64_t counter, bool contiguous, int64_t n) {
  constexpr int64_t kBlocks = 16;
  float* y = static_cast<float*>(out);
  if (!contiguous) return scattered<F>(y, index, seed, counter, n);
  const uint64_t first = n > 0 ? static_cast<uint64_t>(index[0]) : 0;
  int64_t i = static_cast<int64_t>(-first & 3u);  // up to the next whole block
  if (i > n) i = n;
  scattered<F>(y, index, seed, counter, i);
  for (; i + 4 * kBlocks <= n; i += 4 * kBlocks) {
    const uint64_t base = counter + ((first + static_cast<uint64_t>(i)) >> 2);
    uint32_t words[4 * kBlocks];
    for (int64_t b = 0; b < kBlocks; b += kPhiloxBlocks)
      philoxBlocks(base + static_cast<uint64_t>(b), seed, words + 4 * b);
    F::all(words, y + i, 4 * kBlocks);
  }
  scattered<F>(y + i, index + i, seed, counter, n - i);
}

void uniformDouble(void* out, const int64_t* index, uint64_t seed, uint64_t counter, bool, int64_t n) {
  double* y = static_cast<double*>(out);
  for (int64_t i = 0; i < n; i++) {
    const uint64_t position = static_cast<uint64_t>(index[i]);
    const Words block = philox(counter + (position >> 1), seed);
    y[i] = uniformOf(position & 1 ? block.word[2] : block.word[0], position & 1 ? block.word[3] : block.word[1]);
  }
}

void normalDouble(void* out, const int64_t* index, uint64_t seed, uint64_t counter, bool, int64_t n) {
  double* y = static_cast<double*>(out);
  for (int64_t i = 0; i < n; i++) {
    const uint64_t position = static_cast<uint64_t>(index[i]);
    const Words block = philox(counter + (position >> 1), seed);
    const double radius = sqrt(-2.0 * log(1.0 - uniformOf(block.word[0], block.word[1])));
    const double turns = uniformOf(block.word[2], block.word[3]) * 4.0;
    const double whole = __builtin_rint(turns);
    const double angle = (turns - whole) * M_PI_2;
    // Sine is cosine a quarter turn earlier.
    const int quarter = (static_cast<int>(whole) - static_cast<int>(position & 1)) & 3;
    const double value = quarter & 1 ? -sin(angle) : cos(angle);
    y[i] = radius * (quarter & 2 ? -value : value);
  }
}

}  // namespace

void addDraws(Loops& table) {
  table.uniform[0] = draw<Uniform>;
  table.uniform[1] = uniformDouble;
  table.normal[0] = draw<Normal>;
  table.normal[1] = normalDouble;
}

}  // namespace heddle::fused::HEDDLE_LEVEL
