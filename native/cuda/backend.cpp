// CUDA devices as backends: their descriptions, memory and order of work.
#include "../core/backend.h"

#include <cstdio>
#include <vector>

#include "../core/heap.h"
#include "fence.h"
#include "graph.h"
#include "kernels.h"
#include "library.h"
#include "transfer.h"
#include "trial.h"

namespace heddle::cuda {

namespace {

class CudaBackend : public Backend {
 public:
  explicit CudaBackend(int ordinal) : context_(ordinal) { registerCudaKernels(kernels_); }

  DeviceDescription describe() const override {
    return {"cuda:" + std::to_string(context_.ordinal), "cuda",
            context_.name + " (sm_" + std::to_string(context_.major) + std::to_string(context_.minor) + ")", 1,
            context_.memoryBytes};
  }
  const KernelTable& kernels() const override { return kernels_; }
  Choices& choices() override { return trialChoices(); }

  void* allocate(size_t bytes) noexcept override { return heap_.allocate(bytes); }
  void free(void* memory, size_t) noexcept override { heap_.free(memory); }

  void upload(void* device, const void* host, size_t bytes) override {
    cuda::upload(context_, staging_, device, host, bytes);
  }
  std::unique_ptr<Download> download(const void* device, size_t bytes) override {
    return cuda::download(context_, staging_, device, bytes);
  }

  bool asynchronous() const override { return true; }
  void enterThread() override { context_.enter(); }
  void beginRun() override {
    check(cudaMemsetAsync(context_.report, 0, sizeof(Report), context_.stream), "clearing the report");
    reported_ = true;
  }
  void beginStep(int64_t step) override { context_.step = step; }
  void copy(void* target, const void* source, size_t bytes) override {
    check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, context_.stream), "copying");
  }
  bool records() const override { return !context_.synchronous; }
  void beginRecording() override { beginCapture(context_); }
  std::unique_ptr<Recording> endRecording() override { return endCapture(context_); }
  std::unique_ptr<Fence> fence() override {
    const bool reported = reported_;
    reported_ = false;
    return makeFence(context_, staging_, reported);
  }
  void setThreads(int) override {}

 private:
  /// For any thread: the device is the calling thread's afterwards.
  void* takeChunk(size_t bytes) {
    void* memory = nullptr;
    if (cudaSetDevice(context_.ordinal) == cudaSuccess && cudaMalloc(&memory, bytes) == cudaSuccess) return memory;
    cudaGetLastError();  // else the next call would report it again
    return nullptr;
  }
  void giveChunk(void* memory) {
    cudaSetDevice(context_.ordinal);
    cudaFree(memory);
  }

  Context context_;
  Staging staging_;
  Heap heap_{[this](size_t bytes) { return takeChunk(bytes); }, [this](void* memory) { giveChunk(memory); }};
  KernelTable kernels_;
  bool reported_ = false;  // a run has been queued since the last fence
};

/// The devices there are. Throws Error with what is missing where there is none.
std::vector<Backend*> openDevices() {
  int driver = 0;
  const cudaError_t asked = cudaDriverGetVersion(&driver);
  if (asked != cudaSuccess || driver == 0)
    throw Error(ErrorCode::unsupported, "there is no NVIDIA driver here (libcuda.so.1 was not found)");
  const auto version = [](int number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
  };
  if (driver < CUDART_VERSION)
    throw Error(ErrorCode::unsupported, "the NVIDIA driver is too old: it is for CUDA " + version(driver) +
                                            ", heddle needs one for CUDA " + version(CUDART_VERSION) + " or newer");
  int count = 0;
  if (const cudaError_t found = cudaGetDeviceCount(&count); found != cudaSuccess || count == 0)
    throw Error(ErrorCode::unsupported, std::string("there is no CUDA device here: ") +
                                            cudaGetErrorString(found != cudaSuccess ? found : cudaErrorNoDevice));
  std::vector<Backend*> devices;
  std::string tooOld;
  for (int ordinal = 0; ordinal < count; ordinal++) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, ordinal), "reading a device's properties");
    if (properties.major * 10 + properties.minor < 75)
      tooOld += std::string(tooOld.empty() ? "" : ", ") + properties.name + " (compute capability " +
                std::to_string(properties.major) + "." + std::to_string(properties.minor) + ")";
    else
      devices.push_back(new CudaBackend(ordinal));
  }
  if (devices.empty())
    throw Error(ErrorCode::unsupported, "heddle needs compute capability 7.5 or newer; here is " + tooOld);
  return devices;
}

}  // namespace

}  // namespace heddle::cuda

extern "C" __attribute__((visibility("default"))) size_t heddle_backend_open(heddle::Backend** devices, size_t capacity,
                                                                             char* error, size_t errorLength) noexcept
    try {
  const std::vector<heddle::Backend*> found = heddle::cuda::openDevices();
  const size_t count = std::min(found.size(), capacity);
  std::copy_n(found.begin(), count, devices);
  return count;
} catch (const std::exception& failure) {
  std::snprintf(error, errorLength, "%s", failure.what());
  return 0;
}

extern "C" __attribute__((visibility("default"))) void heddle_backend_libraries(
    std::vector<heddle::LibrarySearch>& searches) {
  for (const char* name : {"libcublasLt.so.13", "libcudnn.so.9", "libnvrtc.so.13"})
    searches.push_back(heddle::cuda::findLibrary(name));
}
