// Contexts are made once per device and live as long as the process.
#include "context.h"

#include <cstdlib>

namespace heddle::cuda {

namespace {

thread_local Context* currentContext = nullptr;

int attribute(cudaDeviceAttr which, int ordinal) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, ordinal), "reading a device's attributes");
  return value;
}

}  // namespace

Context::Context(int ordinal) : ordinal(ordinal) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, ordinal), "reading a device's properties");
  name = properties.name;
  memoryBytes = properties.totalGlobalMem;
  major = properties.major;
  minor = properties.minor;
  multiprocessors = attribute(cudaDevAttrMultiProcessorCount, ordinal);
  l2Bytes = static_cast<size_t>(attribute(cudaDevAttrL2CacheSize, ordinal));
  sharedBytesPerBlock = static_cast<size_t>(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal));
  const char* sync = std::getenv("HEDDLE_SYNC");
  synchronous = sync && std::string(sync) == "1";
  check(cudaSetDevice(ordinal), "choosing a device");
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  void* memory = nullptr;
  check(cudaMalloc(&memory, sizeof(Report)), "reserving memory for reports");
  report = static_cast<Report*>(memory);
}

Context& Context::current() {
  if (!currentContext) throw Error(ErrorCode::internal, "a CUDA kernel is used outside its device's thread");
  return *currentContext;
}

void Context::enter() {
  check(cudaSetDevice(ordinal), "choosing a device");
  currentContext = this;
}

}  // namespace heddle::cuda
