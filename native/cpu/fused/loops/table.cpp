// One level's table of loops.
#include "table.h"

#include "level.h"

namespace heddle::fused::HEDDLE_LEVEL {

void fill(Loops& table) {
  addArithmetic(table);
  addDivisions(table);
  addComparisons(table);
  addFunctions(table);
  addDoubleFunctions(table);
  addCasts(table);
  addTransfers(table);
  addTurns(table);
  addReductions(table);
  addDraws(table);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
