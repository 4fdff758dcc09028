// Chooses the walk of a fused program: which axes merge, which two make the tile, and how large the tile is.
#include "geometry.h"

#include <algorithm>
#include <cstdlib>

#include "../rounding.h"
#include "representation.h"

namespace heddle::fused {
namespace {

/// The axis that some access walks contiguously while it strides along `column`: a transposition, worth square tiles.
int transposedAxis(const std::vector<Axis>& axes, size_t column, const std::vector<Access>& accesses) {
  for (size_t i = 0; i < axes.size(); i++) {
    if (i == column) continue;
    for (size_t a = 0; a < accesses.size(); a++)
      if (accesses[a].kind != Access::Kind::iota && std::abs(axes[i].strides[a]) == 1 &&
          std::abs(axes[column].strides[a]) > 1)
        return static_cast<int>(i);
  }
  return -1;
}

/// The axis that fills a tile best beside the column axis: one that continues it in most of the memory, or the longest.
int rowAxis(const std::vector<Axis>& axes, size_t column, const std::vector<Access>& accesses, int64_t room) {
  const std::vector<double> shares = sharesOf(axes, accesses.size());
  double all = 0;
  for (const double share : shares) all += share;
  int best = -1;
  double bestScore = 0;
  for (size_t i = 0; i < axes.size(); i++) {
    if (i == column) continue;
    double continued = 0;
    for (size_t a = 0; a < accesses.size(); a++)
      continued += axes[i].strides[a] == axes[column].strides[a] * axes[column].extent ? shares[a] : 0;
    const double score =
        static_cast<double>(std::min(axes[i].extent, room)) * (1 + continued / all) * (axes[i].reduced ? 1 : 1.01);
    if (score > bestScore) {
      bestScore = score;
      best = static_cast<int>(i);
    }
  }
  return best;
}

// Of memory that is summed up over rows, a tile is some rows of so many columns that the accumulators stay in the
// first-level cache: each is then read and written once for several rows.
constexpr int64_t kAccumulatedColumns = 2048;
constexpr int64_t kAccumulatedRows = 8;
constexpr int64_t kLeastAccumulated = 512;

/// The longest reduced axis where a tile of several rows of memory is reduced to one, or -1.
int accumulatedAxis(const std::vector<Axis>& axes, size_t column, const Program& program,
                    const std::vector<Access>& accesses) {
  if (!reducesMemory(program) || axes[column].reduced || axes[column].extent < kLeastAccumulated) return -1;
  const int argument = program.instructions[static_cast<size_t>(program.reduce)].args[0];
  for (size_t a = 0; a < accesses.size(); a++)
    if (accesses[a].kind == Access::Kind::load && accesses[a].position == argument && axes[column].strides[a] != 1)
      return -1;
  int longest = -1;
  for (size_t i = 0; i < axes.size(); i++)
    if (axes[i].reduced && (longest < 0 || axes[i].extent > axes[static_cast<size_t>(longest)].extent))
      longest = static_cast<int>(i);
  return longest;
}

/// The largest tile edge up to `limit` that cuts `extent` into parts of nearly one size, whole vectors long.
int64_t evenPart(int64_t extent, int64_t limit) {
  if (extent <= limit) return extent;
  const int64_t part = ceilDivide(extent, ceilDivide(extent, limit));
  return std::min(limit, roundUp(part, 16));
}

void addLevel(Geometry& geometry, const Axis& axis, int64_t tile, const std::vector<Access>& accesses, int* level) {
  const int64_t count = ceilDivide(axis.extent, tile);
  if (count <= 1) return;
  Level next{count, {}};
  for (size_t a = 0; a < accesses.size(); a++) next.steps.push_back(axis.strides[a] * tile * accesses[a].unit);
  std::vector<Level>& levels = axis.reduced ? geometry.reduced : geometry.kept;
  if (level != nullptr) *level = static_cast<int>(levels.size());
  levels.push_back(std::move(next));
}

}  // namespace

int64_t Geometry::keptTiles() const {
  int64_t count = keptEmpty ? 0 : 1;
  for (const Level& level : kept) count *= level.count;
  return count;
}

int64_t Geometry::reducedTiles() const {
  int64_t count = reducedEmpty ? 0 : 1;
  for (const Level& level : reduced) count *= level.count;
  return count;
}

bool reducesMemory(const Program& program) {
  if (program.reduce < 0) return false;
  const Instruction& argument =
      program.instructions[static_cast<size_t>(program.instructions[static_cast<size_t>(program.reduce)].args[0])];
  if (argument.op != Opcode::load || !plain(argument.dtype)) return false;
  for (const bool after : storesAfterReduce(program))
    if (!after) return false;
  return true;
}

Geometry planGeometry(const Program& program, const std::vector<Access>& accesses, int64_t block) {
  Geometry geometry;
  for (size_t i = 0; i < program.extents.size(); i++) {
    if (program.extents[i] != 0) continue;
    if (program.reduce >= 0 && program.reduced[i])
      geometry.reducedEmpty = true;
    else
      geometry.keptEmpty = true;
  }
  std::vector<Axis> axes = mergedAxes(program, accesses);
  geometry.uniform.assign(accesses.size(), true);
  for (const Axis& axis : axes)
    for (size_t a = 0; a < accesses.size(); a++)
      if (axis.strides[a] != 0) geometry.uniform[a] = false;
  const Axis missing{1, false, std::vector<int64_t>(accesses.size(), 0)};
  geometry.row = missing;
  geometry.column = missing;
  if (!axes.empty() && !geometry.keptEmpty) {
    const size_t column = innermostAxis(axes, accesses);
    const int64_t extent = axes[column].extent;
    int row = transposedAxis(axes, column, accesses);
    const int accumulated = row >= 0 ? -1 : accumulatedAxis(axes, column, program, accesses);
    int64_t rows = 0;
    if (accumulated >= 0) {
      row = accumulated;
      geometry.tileColumns = evenPart(extent, std::min(kAccumulatedColumns, 2 * block));
      rows = std::max(kAccumulatedRows, block / geometry.tileColumns);
    } else if (row >= 0) {
      const int64_t edge = block >= 128 * 128 ? 128 : 32;
      geometry.tileColumns = evenPart(extent, std::max(edge, block / axes[static_cast<size_t>(row)].extent));
    } else {
      geometry.tileColumns = evenPart(extent, block);
      if (extent * 2 <= block) row = rowAxis(axes, column, accesses, block / extent);
    }
    geometry.column = axes[column];
    if (row >= 0) {
      geometry.row = axes[static_cast<size_t>(row)];
      if (rows == 0) rows = std::max<int64_t>(1, block / geometry.tileColumns);
      geometry.tileRows = evenPart(geometry.row.extent, rows);
    }
    addLevel(geometry, geometry.column, geometry.tileColumns, accesses, &geometry.columnLevel);
    if (row >= 0) addLevel(geometry, geometry.row, geometry.tileRows, accesses, &geometry.rowLevel);
    // The other axes, the one with the smallest strides innermost, so that neighbouring tiles share pages.
    std::vector<std::pair<int64_t, size_t>> rest;
    for (size_t i = 0; i < axes.size(); i++) {
      if (i == column || static_cast<int>(i) == row) continue;
      int64_t reach = 0;
      for (const int64_t stride : axes[i].strides) reach += std::abs(stride);
      rest.emplace_back(reach, i);
    }
    std::sort(rest.begin(), rest.end());
    for (const auto& [reach, i] : rest) addLevel(geometry, axes[i], 1, accesses, nullptr);
  }
  return geometry;
}

}  // namespace heddle::fused
