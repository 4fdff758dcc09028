// The slow, telling way of running: one kernel at a time.
#include "launch.h"

namespace heddle::cuda {

void afterLaunch(Context& context, const char* kernel) {
  cudaStreamCaptureStatus status{};
  check(cudaStreamIsCapturing(context.stream, &status), "asking whether the stream is captured");
  if (status != cudaStreamCaptureStatusNone) return;
  check(cudaStreamSynchronize(context.stream), kernel);
}

}  // namespace heddle::cuda
