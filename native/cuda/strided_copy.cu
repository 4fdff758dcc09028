// Bound by memory: every element is read and written once.
#include "strided_copy.h"

#include <algorithm>
#include <cstdlib>
#include <type_traits>

#include "device/divide.h"
#include "device/items.h"
#include "launch.h"
#include "units.h"

namespace heddle::cuda {
namespace {

constexpr int kMostAxes = 16;  // a plan's tensors have no more
constexpr int kSources = 64;
constexpr int kTile = 32;
constexpr int kTileRows = 8;
// Below this, a turned row is a few sectors anyway.
constexpr int64_t kLeastTurned = 8;

struct Sources {
  const void* at[kSources];
};

template <typename Offset>
struct Walk {
  int rank;
  Divider<Offset> extents[kMostAxes];
  std::make_signed_t<Offset> from[kMostAxes], to[kMostAxes];

  /// Where the walk's item is on both sides.
  __device__ void offsets(Offset item, int64_t& source, int64_t& target) const {
    for (int axis = rank - 1; axis >= 0; axis--) {
      const auto at = static_cast<std::make_signed_t<Offset>>(split(item, extents[axis]));
      source += at * from[axis];
      target += at * to[axis];
    }
  }
};

template <typename Offset>
Walk<Offset> walkOver(std::span<const StridedCopy::Axis> axes) {
  Walk<Offset> walk{};
  walk.rank = static_cast<int>(axes.size());
  for (size_t i = 0; i < axes.size(); i++) {
    walk.extents[i] = Divider<Offset>(axes[i].extent);
    walk.from[i] = static_cast<std::make_signed_t<Offset>>(axes[i].from);
    walk.to[i] = static_cast<std::make_signed_t<Offset>>(axes[i].to);
  }
  return walk;
}

template <typename Unit, typename Offset>
__global__ void copyUnits(const __grid_constant__ Sources sources, Unit* to, int64_t step,
                          const __grid_constant__ Walk<Offset> walk, Offset count) {
  struct Moved {
    Unit unit;
    int64_t target;
  };
  const Unit* from = static_cast<const Unit*>(sources.at[blockIdx.y]);
  Unit* target = to + blockIdx.y * step;
  eachItem(
      count,
      [&](Offset item) {
        int64_t source = 0;
        Moved moved{{}, 0};
        walk.offsets(item, source, moved.target);
        moved.unit = from[source];
        return moved;
      },
      [&](Offset, const Moved& moved) { target[moved.target] = moved.unit; });
}

/// Tiles of [down, along]: sources have stride 1 along `along`, targets along `down`.
struct Turn {
  int64_t along, alongTo, down, downFrom;
};

template <typename Unit, typename Offset>
__global__ void __launch_bounds__(kTile* kTileRows)
    copyTurned(const __grid_constant__ Sources sources, Unit* to, int64_t step,
               const __grid_constant__ Walk<Offset> walk, const Turn turn, const Divider<Offset> tilesAlong,
               const Divider<Offset> tilesDown, Offset tiles) {
  __shared__ Unit tile[kTile][kTile + 1];
  for (Offset t = blockIdx.x; t < tiles; t += gridDim.x) {
    Offset rest = t;
    const int64_t down = static_cast<int64_t>(split(rest, tilesDown)) * kTile;
    const int64_t along = static_cast<int64_t>(split(rest, tilesAlong)) * kTile;
    int64_t source = 0, target = 0;
    walk.offsets(rest, source, target);
    const Unit* from = static_cast<const Unit*>(sources.at[blockIdx.y]) + source;
    Unit* into = to + blockIdx.y * step + target;
#pragma unroll
    for (int row = 0; row < kTile; row += kTileRows) {
      const int64_t y = down + row + threadIdx.y, x = along + threadIdx.x;
      if (y < turn.down && x < turn.along) tile[row + threadIdx.y][threadIdx.x] = from[x + y * turn.downFrom];
    }
    __syncthreads();
#pragma unroll
    for (int row = 0; row < kTile; row += kTileRows) {
      const int64_t x = along + row + threadIdx.y, y = down + threadIdx.x;
      if (y < turn.down && x < turn.along) into[x * turn.alongTo + y] = tile[threadIdx.x][row + threadIdx.y];
    }
    __syncthreads();
  }
}

/// Bytes that can be moved at once: elements that lie together on both sides wherever the outer axes lead.
int64_t unitFor(std::span<const StridedCopy::Axis> axes, int64_t bytes, std::span<const void* const> sources,
                const void* to, int64_t step) {
  if (axes.empty() || axes.back().from != 1 || axes.back().to != 1) return bytes;
  for (int64_t unit = 16; unit > bytes; unit /= 2) {
    const int64_t elements = unit / bytes;
    bool fits = axes.back().extent % elements == 0 && step % elements == 0 && alignedTo(to, unit);
    for (const StridedCopy::Axis& axis : axes.first(axes.size() - 1))
      fits = fits && axis.from % elements == 0 && axis.to % elements == 0;
    for (const void* source : sources) fits = fits && alignedTo(source, unit);
    if (fits) return unit;
  }
  return bytes;
}

}  // namespace

StridedCopy::StridedCopy(const std::vector<int64_t>& shape, const std::vector<int64_t>& from,
                         const std::vector<int64_t>& to, int64_t bytes)
    : bytes_(bytes) {
  std::vector<Axis> axes;
  int64_t reach[2] = {0, 0};
  for (size_t i = 0; i < shape.size(); i++) {
    count_ *= shape[i];
    if (shape[i] == 1) continue;
    axes.push_back({shape[i], from[i], to[i]});
    reach[0] += (shape[i] - 1) * std::abs(from[i]);
    reach[1] += (shape[i] - 1) * std::abs(to[i]);
  }
  wide_ = std::max({reach[0], reach[1], count_}) > INT32_MAX;
  std::stable_sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.to > b.to; });
  for (const Axis& axis : axes) {
    if (!axes_.empty() && axes_.back().from == axis.from * axis.extent && axes_.back().to == axis.to * axis.extent)
      axes_.back() = {axes_.back().extent * axis.extent, axis.from, axis.to};
    else
      axes_.push_back(axis);
  }
  if (axes_.empty() || axes_.back().to != 1 || axes_.back().from == 1 || axes_.back().extent < kLeastTurned) return;
  for (size_t i = 0; i + 1 < axes_.size(); i++)
    if (axes_[i].from == 1 && axes_[i].extent >= kLeastTurned) turned_ = static_cast<int>(i);
}

void StridedCopy::run(const char* op, std::span<const void* const> sources, void* to, int64_t step) const {
  if (count_ == 0) return;
  const int64_t unit = turned_ >= 0 ? bytes_ : unitFor(axes_, bytes_, sources, to, step), elements = unit / bytes_;
  std::vector<Axis> axes = axes_;
  Turn turn{};
  if (turned_ >= 0) {
    turn = {axes[turned_].extent, axes[turned_].to, axes.back().extent, axes.back().from};
    axes.pop_back();
    axes.erase(axes.begin() + turned_);
  } else if (elements > 1) {
    axes.back().extent /= elements;
    for (size_t i = 0; i + 1 < axes.size(); i++)
      axes[i] = {axes[i].extent, axes[i].from / elements, axes[i].to / elements};
  }
  for (size_t first = 0; first < sources.size(); first += kSources) {
    Sources some{};
    const auto here = static_cast<unsigned>(std::min<size_t>(kSources, sources.size() - first));
    std::copy_n(sources.begin() + static_cast<std::ptrdiff_t>(first), here, some.at);
    char* target = static_cast<char*>(to) + static_cast<int64_t>(first) * step * bytes_;
    dispatchUnit(unit, [&](auto tag) {
      using Unit = typename decltype(tag)::type;
      dispatchOffset(wide_, [&](auto width) {
        using Offset = typename decltype(width)::type;
        const Walk<Offset> walk = walkOver<Offset>(axes);
        if (turned_ >= 0) {
          if constexpr (sizeof(Unit) <= 8) {
            const int64_t along = (turn.along + kTile - 1) / kTile, down = (turn.down + kTile - 1) / kTile;
            const int64_t tiles = count_ / (turn.along * turn.down) * along * down;
            launch(op, copyTurned<Unit, Offset>, dim3(gridFor(tiles, 1), here), dim3(kTile, kTileRows), 0, some,
                   reinterpret_cast<Unit*>(target), step, walk, turn, Divider<Offset>(along), Divider<Offset>(down),
                   static_cast<Offset>(tiles));
          }
        } else {
          launch(op, copyUnits<Unit, Offset>, dim3(gridFor(count_ / elements, 256 * kItemsAtOnce), here), 256, 0, some,
                 reinterpret_cast<Unit*>(target), step / elements, walk, static_cast<Offset>(count_ / elements));
        }
      });
    });
  }
}

}  // namespace heddle::cuda
