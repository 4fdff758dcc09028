// Stands for native/cuda/library.cpp: NVIDIA's libraries are played by functions of this one, under their names.
#include "../../cuda/library.h"

#include <dlfcn.h>

#include "../../core/error.h"

namespace heddle::cuda {

LibrarySearch findLibrary(const std::string& name) { return {name, "emulation", {"emulation"}}; }

void* openLibrary(const std::string&) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&findLibrary), &info))
    throw Error(ErrorCode::internal, "emulation: dladdr");
  return dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
}

void* findFunction(void* library, const char* name) {
  void* address = dlsym(library, name);
  if (!address) throw Error(ErrorCode::unsupported, std::string(name) + " is not emulated");
  return address;
}

}  // namespace heddle::cuda
