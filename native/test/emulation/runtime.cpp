// The CUDA runtime's streams, events, memory and graphs, on the host. Work waits in a stream's queue for its own
// thread, as a GPU's does, so what is freed or read too early shows.
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "compiler.h"
#include "grid.h"

namespace heddle::emulation {

using Work = std::function<void()>;

struct Graph {
  std::vector<Work> nodes;
};

namespace {
/// Of the work that the stream's thread is at.
thread_local double spentMilliseconds = 0;
}  // namespace

void spend(double milliseconds) { spentMilliseconds += milliseconds; }

struct Stream {
  Stream() : thread([this] { loop(); }) {}
  ~Stream() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    thread.join();
  }

  void push(Work work) {
    const std::lock_guard lock(mutex);
    queue.push_back(std::move(work));
    changed.notify_all();
  }

  void synchronize() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return queue.empty() && !busy; });
  }

  void loop() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      const Work work = std::move(queue.front());
      queue.pop_front();
      busy = true;
      lock.unlock();
      spentMilliseconds = 1;
      work();
      milliseconds += spentMilliseconds;
      lock.lock();
      busy = false;
      changed.notify_all();
    }
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Work> queue;
  bool busy = false;
  bool stopping = false;
  double milliseconds = 0;         // of made-up time; touched by its own thread only
  std::unique_ptr<Graph> capture;  // touched by the thread that queues only
  std::thread thread;
};

struct Event {
  std::mutex mutex;
  std::condition_variable changed;
  uint64_t recorded = 0;
  uint64_t reached = 0;
  double milliseconds = 0;
};

struct Entry {
  void (*call)(void** arguments);
  size_t parameterBytes;
};

namespace {

/// What may not happen while a stream is captured: it would not be in the graph.
thread_local int capturing = 0;

std::mutex memoryMutex;
std::map<void*, size_t> blocks;
size_t allocated = 0;

/// HEDDLE_CUDA_EMULATION_LOST=1, also set while the process runs: the device has fallen off the bus.
bool isLost() {
  const char* lost = std::getenv("HEDDLE_CUDA_EMULATION_LOST");
  return lost && std::strcmp(lost, "1") == 0;
}

size_t totalMemory() {
  const char* megabytes = std::getenv("HEDDLE_CUDA_EMULATION_MEGABYTES");
  return (megabytes ? static_cast<size_t>(std::atoll(megabytes)) : size_t{8192}) << 20;
}

}  // namespace

cudaError_t enqueue(cudaStream_t stream, Work work) {
  if (stream->capture) {
    stream->capture->nodes.push_back(std::move(work));
    return cudaSuccess;
  }
  stream->push(std::move(work));
  return cudaSuccess;
}

cudaError_t launchGrid(const cudaLaunchConfig_t& config, Work thread) {
  const dim3 grid = config.gridDim, block = config.blockDim;
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0 || threads > 1024 || block.z > 64 || grid.y > 65535 ||
      grid.z > 65535 || config.dynamicSmemBytes > 227 * 1024)
    return cudaErrorInvalidValue;
  if (isLost()) return cudaErrorLaunchFailure;
  const size_t sharedBytes = config.dynamicSmemBytes;
  return enqueue(config.stream, [grid, block, sharedBytes, thread = std::move(thread)] {
    spend(9);  // longer than any library's call
    runGrid(grid, block, sharedBytes, thread);
  });
}

}  // namespace heddle::emulation

using namespace heddle::emulation;

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    default: return "emulated error";
  }
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) { return *count = 2, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return device < 2 ? cudaSuccess : cudaErrorInvalidDevice; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::snprintf(properties->name, sizeof properties->name, "emulation");
  properties->totalGlobalMem = totalMemory();
  properties->major = 8;
  properties->minor = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = 48 * 1024; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 163 * 1024; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 164 * 1024; break;
    // Few, so that loops over a grid's stride are taken.
    case cudaDevAttrMultiProcessorCount: *value = 2; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrL2CacheSize: *value = 40 << 20; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 8; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
  }
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  if (capturing) return cudaErrorStreamCaptureUnsupported;
  const std::lock_guard lock(memoryMutex);
  if (bytes > totalMemory() - allocated) return cudaErrorMemoryAllocation;
  if (posix_memalign(memory, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  blocks[*memory] = bytes;
  allocated += bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  if (capturing) return cudaErrorStreamCaptureUnsupported;
  const std::lock_guard lock(memoryMutex);
  const auto found = blocks.find(memory);
  if (found == blocks.end()) return memory ? cudaErrorInvalidValue : cudaSuccess;
  allocated -= found->second;
  std::free(memory);
  blocks.erase(found);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  const std::lock_guard lock(memoryMutex);
  *total = totalMemory();
  *available = *total - allocated;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  if (capturing) return cudaErrorStreamCaptureUnsupported;
  return posix_memalign(memory, 4096, bytes) == 0 ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* memory) { return std::free(memory), cudaSuccess; }

cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  return enqueue(stream, [=] { std::memcpy(target, source, bytes); });
}
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
  return enqueue(stream, [=] { std::memset(target, value, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return *stream = new Stream, cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream->capture) return cudaErrorStreamCaptureUnsupported;
  return stream->synchronize(), cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return *event = new Event, cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  uint64_t target;
  {
    const std::lock_guard lock(event->mutex);
    target = ++event->recorded;
  }
  return enqueue(stream, [event, target, stream] {
    const std::lock_guard lock(event->mutex);
    event->reached = target;
    event->milliseconds = stream->milliseconds;
    event->changed.notify_all();
    spend(-1);  // events take no time
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  std::unique_lock lock(event->mutex);
  event->changed.wait(lock, [&] { return event->reached >= event->recorded; });
  return isLost() ? cudaErrorLaunchFailure : cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(event->mutex);
  return event->reached >= event->recorded ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (cudaEventQuery(start) != cudaSuccess || cudaEventQuery(end) != cudaSuccess) return cudaErrorNotReady;
  const std::scoped_lock lock(start->mutex, end->mutex);
  return *milliseconds = static_cast<float>(end->milliseconds - start->milliseconds), cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  uint64_t target;
  {
    const std::lock_guard lock(event->mutex);
    target = event->recorded;
  }
  return enqueue(stream, [event, target] {
    std::unique_lock lock(event->mutex);
    event->changed.wait(lock, [&] { return event->reached >= target; });
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->capture) return cudaErrorStreamCaptureUnsupported;
  stream->capture = std::make_unique<Graph>();
  capturing++;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->capture) return cudaErrorInvalidValue;
  *graph = stream->capture.release();
  capturing--;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return *status = stream->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone, cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return *executable = new Graph(*graph), cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  for (const Work& node : executable->nodes) enqueue(stream, node);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return delete executable, cudaSuccess; }

namespace heddle::emulation {

struct Library {
  void* handle;
  std::map<std::string, Entry> entries;
};

}  // namespace heddle::emulation

cudaError_t cudaLibraryLoadData(cudaLibrary_t* library, const void* code, void*, void**, unsigned, void*, void**,
                                unsigned) {
  void* handle = openCompiled(code);
  if (!handle) return cudaErrorInvalidKernelImage;
  return *library = new Library{handle, {}}, cudaSuccess;
}
// Never unloaded: a stream may still run it.
cudaError_t cudaLibraryUnload(cudaLibrary_t library) { return delete library, cudaSuccess; }

cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library, const char* name) {
  const CompiledKernel found = findCompiled(library->handle, name);
  if (!found.call) return cudaErrorSymbolNotFound;
  // Kernels outlive their library here, as launches queued before it was unloaded do.
  *kernel = new Entry{found.call, found.parameterBytes};
  return cudaSuccess;
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* kernel, void** arguments) {
  const Entry entry = *static_cast<const Entry*>(kernel);
  // Generated kernels have one parameter, a struct.
  auto copy = std::make_shared<std::vector<char>>(static_cast<const char*>(arguments[0]),
                                                  static_cast<const char*>(arguments[0]) + entry.parameterBytes);
  return launchGrid(*config, [entry, copy] {
    void* parameters[] = {copy->data()};
    entry.call(parameters);
  });
}

double erfinv(double y) {
  // Winitzki's closed form (2008) to three digits, then Halley steps on erf, or on erfc where erf nears 1.
  const double magnitude = std::fabs(y), slope = 2 / std::sqrt(M_PI);
  if (!(magnitude < 1)) return magnitude == 1 ? std::copysign(HUGE_VAL, y) : NAN;
  if (magnitude < 1e-10) return y / slope;
  const double a = 0.147, logarithm = std::log1p(-magnitude * magnitude), b = 2 / (M_PI * a) + logarithm / 2;
  double x = std::sqrt(std::sqrt(b * b - logarithm / a) - b);
  for (int i = 0; i < 3; i++) {
    const double error = magnitude < 0.5 ? std::erf(x) - magnitude : (1 - magnitude) - std::erfc(x);
    const double step = error / (slope * std::exp(-x * x));
    x -= step / (1 + x * step);
  }
  return std::copysign(x, y);
}
float erfinvf(float x) { return static_cast<float>(erfinv(static_cast<double>(x))); }
