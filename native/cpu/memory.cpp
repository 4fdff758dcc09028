// Large blocks are aligned to huge pages and ask for them: matrices beyond the TLB's reach lose half their speed
// without.
#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace heddle::cpu {

namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

size_t readLimit(const char* path) {
  size_t bytes = 0;
  // An unlimited group says "max", which is no number.
  return std::ifstream(path) >> bytes ? bytes : static_cast<size_t>(-1);
}

}  // namespace

void* allocate(size_t bytes) noexcept {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes) != 0) return nullptr;
  // Only advice: where the kernel has no huge pages ready, ordinary ones serve.
  if (bytes >= kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

size_t totalMemory() {
  const size_t physical = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return std::min(
      {physical, readLimit("/sys/fs/cgroup/memory.max"), readLimit("/sys/fs/cgroup/memory/memory.limit_in_bytes")});
}

}  // namespace heddle::cpu
