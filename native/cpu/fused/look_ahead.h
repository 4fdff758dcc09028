// Which memory a phase asks for while the tile before it is computed.
#pragma once

#include "classification.h"
#include "executable.h"

namespace heddle::fused {

/// Where a tile takes several steps, memory would stand still meanwhile: what is only moved or added up comes as fast
/// as it can anyway. `levels`: the loops around the phase's tiles. Nothing where it would not fit the cache.
std::vector<Ahead> lookAhead(const Executable& executable, const Phase& phase, const PhaseContents& contents,
                             const std::vector<Level>& levels);

/// Moves what lies in one piece, of elements as large as those that the first stream step writes, to that step.
void lookAheadWithStores(Phase& phase);

}  // namespace heddle::fused
