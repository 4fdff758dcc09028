// Beyond 64 MiB page-locked memory would be taken from everyone else: the driver's own staging serves there.
#include "transfer.h"

#include <cstring>

namespace heddle::cuda {

namespace {

constexpr size_t kLargestStaged = size_t{64} << 20;

class StagedDownload : public Download {
 public:
  StagedDownload(Context& context, Staging& staging, const void* device, size_t bytes)
      : staging_(staging), block_(staging.take(bytes)), bytes_(bytes) {
    check(cudaMemcpyAsync(block_.memory, device, bytes, cudaMemcpyDeviceToHost, context.stream), "copying to the host");
  }
  ~StagedDownload() override { staging_.giveBack(block_); }
  void deliver(void* host) override { std::memcpy(host, block_.memory, bytes_); }

 private:
  Staging& staging_;
  const Staging::Block block_;
  const size_t bytes_;
};

/// Copies at delivery, on a stream of its own: the work before is done by then, and what is queued behind may go on.
class DirectDownload : public Download {
 public:
  DirectDownload(const void* device, size_t bytes) : device_(device), bytes_(bytes) {}
  void deliver(void* host) override {
    cudaStream_t stream;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
    const cudaError_t queued = cudaMemcpyAsync(host, device_, bytes_, cudaMemcpyDeviceToHost, stream);
    const cudaError_t copied = cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
    check(queued, "copying to the host");
    check(copied, "copying to the host");
  }

 private:
  const void* device_;
  size_t bytes_;
};

}  // namespace

void upload(Context& context, Staging& staging, void* device, const void* host, size_t bytes) {
  if (bytes > kLargestStaged) {
    check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, context.stream), "copying to the device");
    // From pageable memory the call may return before the host's bytes have all been read.
    check(cudaStreamSynchronize(context.stream), "copying to the device");
    return;
  }
  const Staging::Block block = staging.take(bytes);
  std::memcpy(block.memory, host, bytes);
  const cudaError_t queued = cudaMemcpyAsync(device, block.memory, bytes, cudaMemcpyHostToDevice, context.stream);
  staging.giveBackAfter(block, context.stream);
  check(queued, "copying to the device");
}

std::unique_ptr<Download> download(Context& context, Staging& staging, const void* device, size_t bytes) {
  if (bytes > kLargestStaged) return std::make_unique<DirectDownload>(device, bytes);
  return std::make_unique<StagedDownload>(context, staging, device, bytes);
}

}  // namespace heddle::cuda
