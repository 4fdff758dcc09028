// The neutral element of each reduction on each dtype.
#include "identity.h"

#include <limits>

#include "representation.h"

namespace heddle::fused {
namespace {

double floatIdentity(Reduction reduction) {
  switch (reduction) {
    case Reduction::sum: return 0.0;
    case Reduction::prod: return 1.0;
    case Reduction::max: return -std::numeric_limits<double>::infinity();
    default: return std::numeric_limits<double>::infinity();
  }
}

}  // namespace

int64_t reductionIdentity(Reduction reduction, DType dtype) {
  const RegisterClass kind = classOf(dtype);
  if (isFloatClass(kind)) {
    const double identity = floatIdentity(reduction);
    if (accumulatorOf(reduction, kind) == RegisterClass::f64) return __builtin_bit_cast(int64_t, identity);
    // One in each half, so that words of it are twice as many accumulators.
    const float halves[2] = {static_cast<float>(identity), static_cast<float>(identity)};
    return __builtin_bit_cast(int64_t, halves);
  }
  if (reduction == Reduction::sum) return 0;
  if (reduction == Reduction::prod) return 1;
  const bool lowest = reduction == Reduction::max;
  switch (dtype) {
    case DType::bool_: return lowest ? 0 : 1;
    case DType::u8: return lowest ? 0 : 255;
    case DType::i8: return lowest ? -128 : 127;
    case DType::i32: return lowest ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
    default: return lowest ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  }
}

}  // namespace heddle::fused
