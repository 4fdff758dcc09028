// Host memory for tensors.
#pragma once

#include <cstddef>

namespace heddle::cpu {

/// 64-byte aligned (a cache line, an AVX-512 register); from 2 MiB on in huge pages. nullptr where there is none.
void* allocate(size_t bytes) noexcept;

/// The host's physical memory, or the control group's limit where that is lower.
size_t totalMemory();

}  // namespace heddle::cpu
