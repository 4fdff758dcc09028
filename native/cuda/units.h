// Elements of any type as units of 1 to 16 bytes, for kernels that only move them.
#pragma once

#include <cstdint>

#include "../core/element.h"
#include "runtime.h"

namespace heddle::cuda {

/// Whether an address lies at a multiple of `bytes`, a power of two.
inline bool alignedTo(const void* address, int64_t bytes) {
  return (reinterpret_cast<uintptr_t>(address) & static_cast<uintptr_t>(bytes - 1)) == 0;
}

/// Calls `function(TypeTag<Unit>{})` with the unit of an element's bytes: 1, 2, 4 or 8.
template <typename Function>
auto dispatchElement(int64_t bytes, Function&& function) {
  switch (bytes) {
    case 1: return function(TypeTag<uint8_t>{});
    case 2: return function(TypeTag<uint16_t>{});
    case 4: return function(TypeTag<uint32_t>{});
    default: return function(TypeTag<uint64_t>{});
  }
}

/// The same, up to 16 bytes.
template <typename Function>
auto dispatchUnit(int64_t bytes, Function&& function) {
  if (bytes == 16) return function(TypeTag<uint4>{});
  return dispatchElement(bytes, function);
}

/// Calls `function(TypeTag<Offset>{})` with the type that index arithmetic takes: 32 bits unless `wide`.
template <typename Function>
auto dispatchOffset(bool wide, Function&& function) {
  if (wide) return function(TypeTag<uint64_t>{});
  return function(TypeTag<uint32_t>{});
}

}  // namespace heddle::cuda
