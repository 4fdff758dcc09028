// Code is the path of a shared object the host's compiler made, behind a mark.
#include "compiler.h"

#include <dlfcn.h>

#include <cstring>
#include <string>

namespace heddle::emulation {

namespace {
constexpr char kMark[] = "heddle-emulation:";
}

void* openCompiled(const void* code) {
  const auto* text = static_cast<const char*>(code);
  if (std::strncmp(text, kMark, sizeof kMark - 1) != 0) return nullptr;
  return dlopen(text + sizeof kMark - 1, RTLD_NOW | RTLD_LOCAL);
}

CompiledKernel findCompiled(void* handle, const char* name) {
  const auto call = dlsym(handle, (std::string(name) + "_call").c_str());
  const auto bytes = static_cast<const size_t*>(dlsym(handle, (std::string(name) + "_parameter_bytes").c_str()));
  if (!call || !bytes) return {nullptr, 0};
  return {reinterpret_cast<void (*)(void**)>(call), *bytes};
}

}  // namespace heddle::emulation
