// One hash of the position per element.
#include "random_fill.h"

#include "../core/element.h"
#include "device/scalar.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

template <typename T>
__global__ void fillElements(T* memory, int64_t elements) {
  using C = Compute<T>;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += step) {
    // The finalizer of MurmurHash3 (Appleby), 32 bits.
    unsigned bits = static_cast<unsigned>(i) * 0x9e3779b9u + 1u;
    bits = (bits ^ (bits >> 16)) * 0x85ebca6bu;
    bits = (bits ^ (bits >> 13)) * 0xc2b2ae35u;
    bits ^= bits >> 16;
    memory[i] = narrow<T>(static_cast<C>(static_cast<int>(bits)) * C(0x1p-31));
  }
}

}  // namespace

void fillRandom(DType dtype, void* memory, size_t elements) {
  dispatchFloat("prepare", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto count = static_cast<int64_t>(elements);
    launch("filling a trial's operands", fillElements<T>, gridFor(count, 256), 256, 0, static_cast<T*>(memory), count);
  });
}

}  // namespace heddle::cuda
