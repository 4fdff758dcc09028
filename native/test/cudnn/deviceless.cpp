// Stands between native/cuda/cudnn.cpp and cuDNN: heuristics and plans are given the properties of a device, and
// whatever sets a handle is passed over. Contexts, which plans ask for only when they run, are stood for too.
#include "deviceless.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstring>

#include "../../core/error.h"
#include "../../cuda/context.h"
#include "../../cuda/cudnn.h"
#include "../../cuda/library.h"

namespace heddle::test {
namespace {

using cuda::dnn::RawDescriptor;
using cuda::dnn::Status;

// cudnn_graph.h
constexpr int kDeviceProperties = 38;
constexpr int kHeuristicsDevice = 204;
constexpr int kPlanDevice = 407;
constexpr int kEngineDevice = 1307;
constexpr int kDeviceText = 2702;
constexpr int kTypeCharacter = 24;

void* library = nullptr;
RawDescriptor device = nullptr;

template <typename Function>
Function real(const char* name, Function) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

Status create(cuda::dnn::Handle* handle) {
  *handle = nullptr;
  return cuda::dnn::kSuccess;
}
Status setStream(cuda::dnn::Handle, cudaStream_t) { return cuda::dnn::kSuccess; }

Status setAttribute(RawDescriptor descriptor, int name, int type, int64_t count, const void* elements) {
  if (type == cuda::dnn::kTypeHandle) return cuda::dnn::kSuccess;
  return real("cudnnBackendSetAttribute", &setAttribute)(descriptor, name, type, count, elements);
}

Status createDescriptor(int type, RawDescriptor* descriptor) {
  const Status status = real("cudnnBackendCreateDescriptor", &createDescriptor)(type, descriptor);
  if (status != cuda::dnn::kSuccess || !device) return status;
  const auto give = [&](int name) { return setAttribute(*descriptor, name, cuda::dnn::kTypeDescriptor, 1, &device); };
  if (type == cuda::dnn::kEngineHeuristics) return give(kHeuristicsDevice);
  if (type == cuda::dnn::kExecutionPlan) return give(kPlanDevice);
  if (type == cuda::dnn::kEngine) return give(kEngineDevice);
  return status;
}

}  // namespace

void useDevice(const DeviceProperties& p) {
  // The members that cuDNN 9 asks for; what is the same on all devices is said here.
  char text[1024];
  const int length = std::snprintf(
      text, sizeof text,
      R"({"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,)"
      R"("multiProcessorCount":%d,"warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":%d,)"
      R"("reservedSharedMemoryPerBlock":%d,"maxRegistersPerSM":65536,"maxCtasPerSM":%d,"maxThreadsPerBlock":1024,)"
      R"("maxThreadsPerSM":%d,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,"totalGlobalMem":%lld,)"
      R"("smClockRateKHz":1500000,"memClockRateKHz":2000000,"l2CacheSize":%lld,"cudaDeviceId":0,"deviceVer":%d,)"
      R"("driverVer":13000,"deviceName":"sm_%d"})",
      p.multiprocessors, p.sharedBytes, p.capability < 80 ? 0 : 1024, p.blocks, p.threads, p.memoryBytes, p.l2Bytes,
      p.capability * 10, p.capability);
  cuda::dnn::functions();
  device = nullptr;
  RawDescriptor made = nullptr;
  cuda::dnn::check(createDescriptor(kDeviceProperties, &made), "making a device's properties");
  cuda::dnn::check(setAttribute(made, kDeviceText, kTypeCharacter, length + 1, text), "setting a device's properties");
  cuda::dnn::check(cuda::dnn::functions().finalize(made), "taking a device's properties");
  device = made;
}

}  // namespace heddle::test

namespace heddle::cuda {

LibrarySearch findLibrary(const std::string& name) { return {name, "", {}}; }

void* openLibrary(const std::string& name) {
  void* opened = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!opened) throw Error(ErrorCode::unsupported, dlerror());
  if (name.find("cudnn") != std::string::npos) test::library = opened;
  return opened;
}

void* findFunction(void* library, const char* name) {
  if (std::strcmp(name, "cudnnCreate") == 0) return reinterpret_cast<void*>(&test::create);
  if (std::strcmp(name, "cudnnSetStream") == 0) return reinterpret_cast<void*>(&test::setStream);
  if (std::strcmp(name, "cudnnBackendSetAttribute") == 0) return reinterpret_cast<void*>(&test::setAttribute);
  if (std::strcmp(name, "cudnnBackendCreateDescriptor") == 0) return reinterpret_cast<void*>(&test::createDescriptor);
  void* address = dlsym(library, name);
  if (!address) throw Error(ErrorCode::unsupported, std::string(name) + " is missing");
  return address;
}

Context::Context(int ordinal) : ordinal(ordinal), synchronous(false), stream(nullptr) {}
Context& Context::current() {
  static Context none(0);
  return none;
}
void afterLaunch(Context&, const char*) {}
bool tensorFloat32Allowed() { return false; }

}  // namespace heddle::cuda

const char* cudaGetErrorString(cudaError_t) { return "no device"; }
