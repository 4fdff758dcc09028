// Launching our own kernels on the current context's stream.
#pragma once

#include <algorithm>
#include <utility>

#include "context.h"

namespace heddle::cuda {

/// Waits for what was just queued where HEDDLE_SYNC=1 asks for it, and names `kernel` if it failed.
void afterLaunch(Context& context, const char* kernel);

/// Queues `kernel(arguments...)`; `name` is what errors call it. A grid without blocks does nothing. Above 48 KiB of
/// dynamic shared memory the kernel's attribute has to be raised once, by `allowShared`, when it is made.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t sharedBytes,
            Arguments&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  Context& context = Context::current();
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = sharedBytes;
  config.stream = context.stream;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), name);
  if (context.synchronous) afterLaunch(context, name);
}

/// Queues a kernel of a module that was compiled at run time (module_cache.h). `parameter`: its one parameter, copied.
void launchCompiled(const char* name, cudaKernel_t kernel, dim3 grid, dim3 block, const void* parameter);

/// Lets a kernel have this much dynamic shared memory.
template <typename... Parameters>
void allowShared(void (*kernel)(Parameters...), size_t bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "reserving shared memory");
}

/// Blocks for `items` at `perBlock` each, at most `waves` times what the device runs at once (of blocks that fill a
/// multiprocessor eight at a time): kernels walk the rest with the grid's stride.
inline unsigned gridFor(int64_t items, int64_t perBlock, int64_t waves = 8) {
  const int64_t blocks = (items + perBlock - 1) / perBlock;
  return static_cast<unsigned>(std::min(blocks, int64_t{Context::current().multiprocessors} * 8 * waves));
}

}  // namespace heddle::cuda
