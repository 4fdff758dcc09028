// Convolutions of 3 x 3 with stride 1 and channels last, forward and towards the input, by Winograd's minimal filtering
// F(2 x 2, 3 x 3): less than half of the multiplications, with errors as of direct sums. Where an input is infinite,
// all results of the tiles that see it are NaN.
//
// Steps that threads draw in turn: first the taps are transformed, panel by panel of the result's channels; then blocks
// of tiles go through patches, products and results while they are in the second-level cache.
#include <omp.h>

#include <algorithm>
#include <array>

#include "conv.h"
#include "levels.h"
#include "onednn.h"
#include "progress.h"
#include "rounding.h"

namespace heddle {

/// The loops of one instruction-set level, the tiles they multiply at once, and the channels of a panel.
struct WinogradLoops {
  using TransformProducts = void (*)(const float* from, int64_t positionStride, const float* bias, int64_t count,
                                     float* const* pixels);
  int64_t rows, panel;
  void (*transformPatch)(const float* const* pixels, int64_t channels, float* to, int64_t positionStride);
  void (*transformTaps)(const float* taps, int64_t across, int64_t count, bool flipped, float* to,
                        int64_t positionStride);
  void (*multiply)(const float* patches, int64_t patchStride, int64_t patchPositions, const float* taps,
                   int64_t channels, int64_t tapPositions, float* out, int64_t outPositions, int64_t tiles);
  TransformProducts transformProducts;
};

}  // namespace heddle

#define HEDDLE_LOOPS "winograd_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

// Starting threads takes some microseconds.
constexpr int64_t kLeastParallelWork = 131072;
// Tiles of a block, at most: its patches stay in the second-level cache. The taps are read from a farther one for each.
constexpr int64_t kMostTiles = 48;
// Positions begin so many elements apart from a power of two, which would put them all into the same sets of a cache.
constexpr int64_t kSkew = 16;
// Channels of the input whose taps are one step.
constexpr int64_t kTapsPerStep = 64;

/// Pictures with their channels side by side; strides in elements.
struct Pictures {
  int64_t height, width, channels;
  int64_t strideN, strideY, strideX;

  explicit Pictures(const TensorSpec& spec)
      : height(spec.shape[2]),
        width(spec.shape[3]),
        channels(spec.shape[1]),
        strideN(spec.strides[0]),
        strideY(spec.strides[2]),
        strideX(spec.strides[3]) {}

  int64_t at(int64_t n, int64_t y, int64_t x) const { return n * strideN + y * strideY + x * strideX; }
  bool has(int64_t y, int64_t x) const { return y >= 0 && y < height && x >= 0 && x < width; }
};

class ConvWinograd : public Kernel {
 public:
  ConvWinograd(const ConvProblem& p, bool forward)
      : in_(forward ? p.x : p.y),
        out_(forward ? p.y : p.x),
        loops_(HEDDLE_DISPATCH(winogradLoops)(p.activation)),
        forward_(forward),
        hasBias_(p.hasBias),
        // Towards the input, the taps are flipped, and what was padded is where the results begin.
        low_{forward ? p.paddingLow[0] : 2 - p.paddingLow[0], forward ? p.paddingLow[1] : 2 - p.paddingLow[1]},
        tileRows_(ceilDivide(out_.height, 2)),
        tileColumns_(ceilDivide(out_.width, 2)),
        tiles_(p.x.shape[0] * tileRows_ * tileColumns_),
        threads_(omp_get_max_threads()),
        zeros_(static_cast<size_t>(in_.channels)) {
    if (tiles_ * in_.channels * out_.channels < kLeastParallelWork) threads_ = 1;
    block_ = roundUp(std::min(kMostTiles, ceilDivide(tiles_, 2 * threads_)), loops_.rows);
    patchStride_ = roundUp(in_.channels, loops_.panel);
    patchPositions_ = block_ * patchStride_ + kSkew;
    productPositions_ = block_ * loops_.panel + kSkew;
    tapPositions_ = in_.channels * loops_.panel;
    panels_ = ceilDivide(out_.channels, loops_.panel);
    tapsBytes_ = bytes(panels_ * kPositions * tapPositions_);
    patchesBytes_ = bytes(kPositions * patchPositions_);
    productsBytes_ = bytes(kPositions * productPositions_);
  }

  size_t workspaceBytes() const override {
    return tapsBytes_ + static_cast<size_t>(threads_) * (patchesBytes_ + productsBytes_);
  }

  void run(const RunOperands& operands) override {
    const Run run{static_cast<const float*>(operands.inputs[0]), static_cast<const float*>(operands.inputs[1]),
                  hasBias_ ? static_cast<const float*>(operands.inputs[2]) : nullptr,
                  static_cast<float*>(operands.outputs[0]), static_cast<char*>(operands.workspace)};
    const int64_t parts = ceilDivide(in_.channels, kTapsPerStep), taps = panels_ * parts;
    const int64_t steps = taps + ceilDivide(tiles_, block_);
    Progress progress;
#pragma omp parallel num_threads(threads_) if (threads_ > 1)
    for (int64_t step; (step = progress.draw()) < steps; progress.finish()) {
      if (step < taps) {
        transformTaps(run, step / parts, step % parts * kTapsPerStep);
      } else {
        progress.await(taps);
        convolveBlock(run, (step - taps) * block_);
      }
    }
  }

 private:
  static constexpr int64_t kPositions = 16, kTaps = 9;

  struct Run {
    const float* in;
    const float* weight;
    const float* bias;
    float* out;
    char* workspace;
  };

  static size_t bytes(int64_t elements) { return onednn::alignUp(static_cast<size_t>(elements) * sizeof(float)); }

  float* panelOf(const Run& run, int64_t panel) const {
    return reinterpret_cast<float*>(run.workspace) + panel * kPositions * tapPositions_;
  }

  /// Of one panel of the result's channels, and of the input's channels from `first` on.
  void transformTaps(const Run& run, int64_t panel, int64_t first) const {
    const int64_t lane = panel * loops_.panel, count = std::min(loops_.panel, out_.channels - lane);
    // The weight is [y's channels, x's, 3, 3].
    const int64_t across = forward_ ? in_.channels * kTaps : kTaps, along = forward_ ? kTaps : out_.channels * kTaps;
    for (int64_t channel = first; channel < std::min(first + kTapsPerStep, in_.channels); channel++)
      loops_.transformTaps(run.weight + lane * across + channel * along, across, count, !forward_,
                           panelOf(run, panel) + channel * loops_.panel, tapPositions_);
  }

  struct Tile {
    int64_t n, y, x;  // of its first result
  };

  Tile tileAt(int64_t index) const {
    return {index / (tileRows_ * tileColumns_), index / tileColumns_ % tileRows_ * 2, index % tileColumns_ * 2};
  }

  void convolveBlock(const Run& run, int64_t first) const {
    const auto thread = static_cast<size_t>(omp_get_thread_num());
    char* memory = run.workspace + tapsBytes_ + thread * (patchesBytes_ + productsBytes_);
    auto* patches = reinterpret_cast<float*>(memory);
    auto* products = reinterpret_cast<float*>(memory + patchesBytes_);
    const int64_t count = std::min(block_, tiles_ - first), whole = roundUp(count, loops_.rows);
    for (int64_t i = 0; i < whole; i++) {
      const auto pixels = patchOf(run, first + i);
      loops_.transformPatch(pixels.data(), in_.channels, patches + i * patchStride_, patchPositions_);
    }
    for (int64_t panel = 0; panel < panels_; panel++) {
      loops_.multiply(patches, patchStride_, patchPositions_, panelOf(run, panel), in_.channels, tapPositions_,
                      products, productPositions_, whole);
      const int64_t lane = panel * loops_.panel, channels = std::min(loops_.panel, out_.channels - lane);
      for (int64_t i = 0; i < count; i++) {
        const auto pixels = resultOf(run, first + i, lane);
        loops_.transformProducts(products + i * loops_.panel, productPositions_, run.bias ? run.bias + lane : nullptr,
                                 channels, pixels.data());
      }
    }
  }

  /// The inputs of a tile; zeros in the padding, and for tiles that only fill up a block.
  std::array<const float*, 16> patchOf(const Run& run, int64_t index) const {
    std::array<const float*, 16> pixels;
    pixels.fill(zeros_.data());
    if (index >= tiles_) return pixels;
    const Tile tile = tileAt(index);
    for (int64_t i = 0; i < kPositions; i++) {
      const int64_t y = tile.y - low_[0] + i / 4, x = tile.x - low_[1] + i % 4;
      if (in_.has(y, x)) pixels[static_cast<size_t>(i)] = run.in + in_.at(tile.n, y, x);
    }
    return pixels;
  }

  /// Where a tile's results go; nullptr where they lie outside.
  std::array<float*, 4> resultOf(const Run& run, int64_t index, int64_t lane) const {
    std::array<float*, 4> pixels{};
    const Tile tile = tileAt(index);
    for (int64_t i = 0; i < 4; i++) {
      const int64_t y = tile.y + i / 2, x = tile.x + i % 2;
      if (out_.has(y, x)) pixels[static_cast<size_t>(i)] = run.out + out_.at(tile.n, y, x) + lane;
    }
    return pixels;
  }

  Pictures in_, out_;
  WinogradLoops loops_;
  bool forward_, hasBias_;
  std::array<int64_t, 2> low_;
  int64_t tileRows_, tileColumns_, tiles_;
  int threads_;
  std::vector<float> zeros_;
  int64_t block_, patchStride_, patchPositions_, productPositions_, tapPositions_, panels_;
  size_t tapsBytes_, patchesBytes_, productsBytes_;
};

bool fits(const ConvProblem& p, ConvDirection direction) {
  const std::vector<int64_t> ones{1, 1};
  return direction != ConvDirection::weightGrad && p.x.dtype == DType::f32 && p.spatialRank() == 2 && p.groups == 1 &&
         p.weight.shape[2] == 3 && p.weight.shape[3] == 3 && p.stride == ones && p.dilation == ones &&
         p.x.strides[1] == 1 && p.y.strides[1] == 1 && p.weight.contiguous() && !p.empty();
}

}  // namespace

std::unique_ptr<Kernel> makeConvWinograd(const ConvProblem& problem, ConvDirection direction) {
  if (!fits(problem, direction)) return nullptr;
  return std::make_unique<ConvWinograd>(problem, direction == ConvDirection::forward);
}

}  // namespace heddle
