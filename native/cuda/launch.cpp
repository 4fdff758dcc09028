// The slow, telling way of running: one kernel at a time.
#include "launch.h"

namespace heddle::cuda {

void afterLaunch(Context& context, const char* kernel) {
  cudaStreamCaptureStatus status{};
  check(cudaStreamIsCapturing(context.stream, &status), "asking whether the stream is captured");
  if (status != cudaStreamCaptureStatusNone) return;
  check(cudaStreamSynchronize(context.stream), kernel);
}

void launchCompiled(const char* name, cudaKernel_t kernel, dim3 grid, dim3 block, const void* parameter) {
  Context& context = Context::current();
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = context.stream;
  void* arguments[] = {const_cast<void*>(parameter)};
  check(cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), arguments), name);
  if (context.synchronous) afterLaunch(context, name);
}

}  // namespace heddle::cuda
