// Loads that are walked along their rows and that the next tile of the innermost loop reads elsewhere.
#include "look_ahead.h"

#include <algorithm>

#include "phase_tile.h"

namespace heddle::fused {
namespace {

// What is fetched ahead stays in the first-level cache, beside what is computed on.
constexpr int64_t kMostAhead = 12 << 10;

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
    ahead.push_back({number, access.unit, tile.rowStride(phase, number) * access.unit, levels[0].steps[a],
                     tile.flat(phase, number)});
  }
  if (bytes > kMostAhead) return {};
  return ahead;
}

void lookAheadWithStores(Phase& phase) {
  const auto stream = std::find_if(phase.steps.begin(), phase.steps.end(),
                                   [](const Step& step) { return step.kind == Step::Kind::stream; });
  if (stream == phase.steps.end()) return;
  for (const Ahead& ahead : phase.ahead)
    if (ahead.inOnePiece && ahead.unit == stream->unit && phase.aheadWithStores.size() < kMostAheadWithStores)
      phase.aheadWithStores.push_back(ahead);
  std::erase_if(phase.ahead, [&](const Ahead& ahead) {
    return std::any_of(phase.aheadWithStores.begin(), phase.aheadWithStores.end(),
                       [&](const Ahead& other) { return other.access == ahead.access; });
  });
  stream->looksAhead = true;
}

}  // namespace heddle::fused
