// What stands for NVRTC in tests: generated sources are compiled by the host's C++ compiler.
#pragma once

#include <cstddef>

namespace heddle::emulation {

struct CompiledKernel {
  void (*call)(void** arguments);  // null where there is none of that name
  size_t parameterBytes;
};

/// Opens what the emulated NVRTC gave as code; nullptr where it is none.
void* openCompiled(const void* code);
CompiledKernel findCompiled(void* handle, const char* name);

}  // namespace heddle::emulation
