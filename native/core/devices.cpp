// Loading a backend's library: found with dladdr beside this one, never unloaded.
#include "devices.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "spinning.h"

namespace heddle {

namespace {

std::string besideThisLibrary(const std::string& name) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&Devices::ofProcess), &info) || !info.dli_fname) return name;
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + name;
}

constexpr size_t kMostDevices = 64;

void* openLibrary(const std::string& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); }

}  // namespace

// Never destroyed: at exit other threads may still be inside, and backends must not be unloaded under them.
Devices& Devices::ofProcess() {
  static Devices& devices = *new Devices;
  return devices;
}

/// The library of a kind of device: where it was placed, else beside this one. A stand-in for CUDA that runs on the
/// host, made for tests, is opened only where it is asked for, from the checkout's folder for it or from the one given,
/// and says what it is.
std::string Devices::libraryOf(const std::string& kind) const {
  const char* given = std::getenv("HEDDLE_CUDA_EMULATION");
  const std::string emulation = kind == "cuda" && given ? given : "", name = "libheddle-" + kind + ".so";
  if (emulation.starts_with("/")) return emulation + "/" + name;
  if (emulation == "1") return besideThisLibrary("../Emulation/" + name);
  const auto placed = places_.find(kind);
  if (placed != places_.end() && !placed->second.library.empty()) return placed->second.library;
  return besideThisLibrary(name);
}

std::vector<Backend*> Devices::openBackend(const std::string& kind) const {
  if (const auto found = places_.find(kind); found != places_.end() && !found->second.error.empty())
    throw Error(ErrorCode::unsupported, found->second.error);
  const std::string path = libraryOf(kind);
  if (access(path.c_str(), F_OK) != 0)
    throw Error(ErrorCode::unsupported, "this installation of heddle has no library for it (" + path + "); " +
                                            (kind == "cuda" ? "npm install heddle-cuda brings it; " : "") +
                                            "in a checkout `npm run build:all` and `npm run build:cuda` make them");
  void* handle = openLibrary(path);
  if (!handle) throw Error(ErrorCode::unsupported, "the " + kind + " backend's library cannot be loaded: " + dlerror());
  const auto open = reinterpret_cast<BackendOpen>(dlsym(handle, kBackendOpenSymbol));
  if (!open) throw Error(ErrorCode::unsupported, path + " does not export " + kBackendOpenSymbol);
  Backend* found[kMostDevices];
  char error[2048] = "";
  const size_t count = open(found, kMostDevices, error, sizeof error);
  if (count == 0) throw Error(ErrorCode::unsupported, error);
  return {found, found + count};
}

void Devices::place(const std::string& kind, const std::string& library, const std::string& error) {
  const std::lock_guard lock(mutex_);
  places_[kind] = {library, error};
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

std::vector<size_t> Devices::open(const std::string& kind) {
  const std::lock_guard lock(mutex_);
  if (const auto found = opened_.find(kind); found != opened_.end()) return found->second;
  limitSpinning();
  std::vector<size_t> positions;
  for (Backend* backend : openBackend(kind)) {
    positions.push_back(devices_.size());
    devices_.push_back(std::make_unique<Device>(*backend));
  }
  return opened_[kind] = positions;
}

Device& Devices::at(size_t index) {
  const std::lock_guard lock(mutex_);
  if (index >= devices_.size())
    throw Error(ErrorCode::invalidArgument, "there is no device " + std::to_string(index) + ": " +
                                                std::to_string(devices_.size()) + " have been opened");
  return *devices_[index];
}

Devices::Inspection Devices::inspect(const std::string& kind) {
  Inspection inspection;
  {
    const std::lock_guard lock(mutex_);
    inspection.library = libraryOf(kind);
  }
  try {
    open(kind);
  } catch (const Error& error) {
    inspection.error = error.what();
  }
  if (void* handle = openLibrary(inspection.library))
    if (const auto libraries = reinterpret_cast<BackendLibraries>(dlsym(handle, kBackendLibrariesSymbol)))
      libraries(inspection.libraries);
  return inspection;
}

}  // namespace heddle
