// What every backend shares of a kernel's description: sizes, contiguity and the table of factories.
#include "kernel.h"

namespace heddle {

int64_t TensorSpec::size() const {
  int64_t elements = 1;
  for (const int64_t extent : shape) elements *= extent;
  return elements;
}

bool TensorSpec::contiguous() const {
  if (size() == 0) return true;
  int64_t expected = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] != 1 && strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

void KernelTable::add(OpId op, KernelFactory factory) { factories_[static_cast<size_t>(op)] = factory; }

KernelFactory KernelTable::find(OpId op) const { return factories_[static_cast<size_t>(op)]; }

}  // namespace heddle
