// The transforms and products of Winograd's F(2 x 2, 3 x 3); included once per instruction-set level.
//
// A tile of 2 x 2 results comes from a patch of 4 x 4 inputs: both the patch and the 3 x 3 taps become 4 x 4 positions,
// of which each is a product of matrices over the channels, 16 multiplications where the direct sums take 36 (A. Lavin
// and S. Gray, "Fast algorithms for convolutional neural networks", 2016, section 4.1). In memory positions are the
// outermost.

#include "activation_loops.h"
#include "tile_loops.h"

// The sums of so many tiles by one panel of results, with a row of the panel and a factor, fill the registers.
#if HEDDLE_VECTOR_BYTES == 64
constexpr int kWinogradRows = 12, kWinogradVectors = 2;
#else
constexpr int kWinogradRows = 6, kWinogradVectors = 2;
#endif
constexpr int64_t kWinogradPanel = kWinogradVectors * kLanes<float>;

/// B^T d B of one tile: `pixels` are its 16 inputs, each with its channels side by side.
void transformPatch(const float* const* pixels, int64_t channels, float* to, int64_t positionStride) {
  eachVector<float>(
      channels, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
        FloatVector rows[4][4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          FloatVector d[4];
#pragma GCC unroll 4
          for (int k = 0; k < 4; k++) d[k] = loadSome(pixels[4 * i + k] + j, count);
          rows[i][0] = d[0] - d[2];
          rows[i][1] = d[1] + d[2];
          rows[i][2] = d[2] - d[1];
          rows[i][3] = d[1] - d[3];
        }
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
          float* column = to + k * positionStride + j;
          storeVector(column, rows[0][k] - rows[2][k]);
          storeVector(column + 4 * positionStride, rows[1][k] + rows[2][k]);
          storeVector(column + 8 * positionStride, rows[2][k] - rows[1][k]);
          storeVector(column + 12 * positionStride, rows[1][k] - rows[3][k]);
        }
      });
}

/// Row `i` of G applied to three vectors.
template <int i>
HEDDLE_INLINE FloatVector spreadTaps(FloatVector a, FloatVector b, FloatVector c) {
  if constexpr (i == 0) return a;
  if constexpr (i == 1) return 0.5f * (a + b + c);
  if constexpr (i == 2) return 0.5f * (a - b + c);
  return c;
}

/// G g G^T of one input channel and the `count` result channels of a panel, whose 9 taps each lie `across` apart; the
/// others become zero. `flipped` takes the taps from the last to the first.
void transformTaps(const float* taps, int64_t across, int64_t count, bool flipped, float* to, int64_t positionStride) {
  float gathered[9][kWinogradPanel] = {};
  for (int64_t lane = 0; lane < count; lane++)
#pragma GCC unroll 9
    for (int tap = 0; tap < 9; tap++) gathered[tap][lane] = taps[lane * across + (flipped ? 8 - tap : tap)];
  for (int64_t j = 0; j < kWinogradPanel; j += kLanes<float>) {
    FloatVector rows[4][3];
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++) {
      const FloatVector a = loadVector(gathered[k] + j), b = loadVector(gathered[3 + k] + j),
                        c = loadVector(gathered[6 + k] + j);
      rows[0][k] = spreadTaps<0>(a, b, c);
      rows[1][k] = spreadTaps<1>(a, b, c);
      rows[2][k] = spreadTaps<2>(a, b, c);
      rows[3][k] = spreadTaps<3>(a, b, c);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      float* row = to + 4 * i * positionStride + j;
      storeVector(row, spreadTaps<0>(rows[i][0], rows[i][1], rows[i][2]));
      storeVector(row + positionStride, spreadTaps<1>(rows[i][0], rows[i][1], rows[i][2]));
      storeVector(row + 2 * positionStride, spreadTaps<2>(rows[i][0], rows[i][1], rows[i][2]));
      storeVector(row + 3 * positionStride, spreadTaps<3>(rows[i][0], rows[i][1], rows[i][2]));
    }
  }
}

// Channels at once: the panel's taps stay in a first-level cache of 32 KiB for all tiles.
constexpr int64_t kWinogradDepth = HEDDLE_VECTOR_BYTES == 64 ? 128 : 256;

/// For each of the 16 positions the product of `tiles` patches, a multiple of kWinogradRows, by one panel of taps.
void multiplyPositions(const float* patches, int64_t patchStride, int64_t patchPositions, const float* taps,
                       int64_t channels, int64_t tapPositions, float* out, int64_t outPositions, int64_t tiles) {
  for (int position = 0; position < 16; position++)
    for (int64_t first = 0; first < channels; first += kWinogradDepth) {
      const int64_t last = first + kWinogradDepth < channels ? first + kWinogradDepth : channels;
      for (int64_t row = 0; row < tiles; row += kWinogradRows)
        multiplyRegisters<float, kWinogradRows, kWinogradVectors>(
            patches + position * patchPositions + row * patchStride, patchStride, 1, taps + position * tapPositions,
            kWinogradPanel, out + position * outPositions + row * kWinogradPanel, kWinogradPanel, first, last,
            first > 0);
    }
}

/// A^T m A of one tile and the `count` channels of a panel, with bias (may be null) and activation, into the pixels of
/// the tile that there are.
template <Activation kind>
void transformProducts(const float* from, int64_t positionStride, const float* bias, int64_t count,
                       float* const* pixels) {
  for (int64_t j = 0; j < count; j += kLanes<float>) {
    const int64_t lanes = count - j < kLanes<float> ? count - j : kLanes<float>;
    FloatVector columns[2][4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
      FloatVector m[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) m[i] = loadVector(from + (4 * i + k) * positionStride + j);
      columns[0][k] = m[0] + m[1] + m[2];
      columns[1][k] = m[1] - m[2] - m[3];
    }
    const FloatVector add = bias ? loadSome(bias + j, lanes) : FloatVector{};
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
      const FloatVector* m = columns[i];
      const FloatVector left = m[0] + m[1] + m[2] + add, right = m[1] - m[2] - m[3] + add;
      if (pixels[2 * i]) storeSome(pixels[2 * i] + j, activateVector<kind>(left), lanes);
      if (pixels[2 * i + 1]) storeSome(pixels[2 * i + 1] + j, activateVector<kind>(right), lanes);
    }
  }
}

WinogradLoops::TransformProducts transformProductsOf(Activation activation) {
  switch (activation) {
    case Activation::relu: return transformProducts<Activation::relu>;
    case Activation::gelu: return transformProducts<Activation::gelu>;
    case Activation::geluTanh: return transformProducts<Activation::geluTanh>;
    case Activation::sigmoid: return transformProducts<Activation::sigmoid>;
    case Activation::tanh: return transformProducts<Activation::tanh>;
    case Activation::silu: return transformProducts<Activation::silu>;
    case Activation::none:
    case Activation::count: break;
  }
  return transformProducts<Activation::none>;
}

WinogradLoops winogradLoops(Activation activation) {
  return {kWinogradRows, kWinogradPanel,    transformPatch,
          transformTaps, multiplyPositions, transformProductsOf(activation)};
}
