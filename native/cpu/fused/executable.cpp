// What a fused program made ready to run says of itself.
#include "executable.h"

namespace heddle::fused {

int64_t Executable::keptWidth() const {
  const int64_t rows = after.rows ? geometry.tileRows : 1;
  return rows * (after.columns ? geometry.tileColumns : 1);
}

bool Executable::transposes() const {
  bool turned = false;
  for (const Step& step : after.steps) {
    if (step.kind != Step::Kind::load && step.kind != Step::Kind::store) return false;
    turned = turned || (step.kind == Step::Kind::load && step.rowStride == 1 && step.columnStride > 1);
  }
  return turned && !reduces;
}

}  // namespace heddle::fused
