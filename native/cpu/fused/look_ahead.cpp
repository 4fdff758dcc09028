// Loads that are walked along their rows and that the next tile of the innermost loop reads elsewhere.
#include "look_ahead.h"

#include "phase_tile.h"

namespace heddle::fused {
namespace {

// What is fetched ahead stays in the first-level cache, beside what is computed on.
constexpr int64_t kMostAhead = 8 << 10;

}  // namespace

std::vector<Ahead> lookAhead(const Executable& executable, const Phase& phase, const PhaseContents& contents,
                             const std::vector<Level>& levels) {
  if (levels.empty()) return {};
  const PhaseTile tile(executable.geometry);
  std::vector<Ahead> ahead;
  int64_t bytes = 0;
  for (size_t a = 0; a < executable.accesses.size(); a++) {
    const Access& access = executable.accesses[a];
    const int number = static_cast<int>(a);
    if (access.kind != Access::Kind::load || !contents.needed[static_cast<size_t>(access.position)] ||
        tile.columnStride(phase, number) != 1 || levels[0].steps[a] == 0)
      continue;
    bytes += access.unit * executable.geometry.tileRows * executable.geometry.tileColumns;
    ahead.push_back({number, access.unit, tile.rowStride(phase, number) * access.unit, levels[0].steps[a]});
  }
  if (bytes > kMostAhead) return {};
  return ahead;
}

}  // namespace heddle::fused
