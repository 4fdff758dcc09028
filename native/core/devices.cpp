// Loading a backend's library: found with dladdr beside this one, never unloaded.
#include "devices.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>

namespace heddle {

namespace {

// libgomp reads its environment once, as it is loaded. Its default is to spin for milliseconds, which would take the
// event loop's core. Waking a thread that sleeps costs some 50 us where a virtual machine has let its processor go,
// more than many a kernel takes, so threads spin for the some 15 us that usually lie between two kernels, and sleep
// after that.
void limitSpinning() {
  if (!std::getenv("OMP_WAIT_POLICY") && !std::getenv("GOMP_SPINCOUNT")) setenv("GOMP_SPINCOUNT", "1000", 0);
}

std::string besideThisLibrary(const std::string& name) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&limitSpinning), &info) || !info.dli_fname) return name;
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + name;
}

Backend& openBackend(const std::string& library) {
  const std::string path = besideThisLibrary(library);
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) throw Error(ErrorCode::unsupported, "the backend " + library + " cannot be loaded: " + dlerror());
  const auto open = reinterpret_cast<BackendOpen>(dlsym(handle, kBackendOpenSymbol));
  if (!open) throw Error(ErrorCode::unsupported, "the backend " + library + " does not export " + kBackendOpenSymbol);
  char error[512] = "";
  Backend* backend = open(error, sizeof error);
  if (!backend) throw Error(ErrorCode::unsupported, "the backend " + library + " did not open: " + error);
  return *backend;
}

}  // namespace

// Never destroyed: at exit other threads may still be inside, and backends must not be unloaded under them.
Devices& Devices::ofProcess() {
  static Devices& devices = *new Devices;
  return devices;
}

void Devices::enter() {
  const std::lock_guard lock(mutex_);
  environments_++;
}

void Devices::leave() {
  const std::lock_guard lock(mutex_);
  if (--environments_ > 0) return;
  for (const auto& device : devices_) device->rest();
}

void Devices::cancel(const std::shared_ptr<Client>& client) {
  const std::lock_guard lock(mutex_);
  for (const auto& device : devices_) device->executor.cancel(client);
}

void Devices::open() {
  if (!devices_.empty()) return;
  limitSpinning();
  devices_.push_back(std::make_unique<Device>(openBackend("libheddle-cpu.so")));
}

size_t Devices::count() {
  const std::lock_guard lock(mutex_);
  open();
  return devices_.size();
}

Device& Devices::at(size_t index) {
  const std::lock_guard lock(mutex_);
  open();
  if (index >= devices_.size())
    throw Error(ErrorCode::invalidArgument,
                "there is no device " + std::to_string(index) + ": there are " + std::to_string(devices_.size()));
  return *devices_[index];
}

}  // namespace heddle
