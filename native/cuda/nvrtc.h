// NVRTC, the compiler of generated CUDA sources, opened at first use. native/test/cuda/headers compares what is
// declared here by hand with NVIDIA's own header.
#pragma once

#include <cstddef>
#include <string>

namespace heddle::cuda {

/// What heddle calls of it.
struct Nvrtc {
  using Result = int;  // nvrtcResult: 0 is success
  using Program = struct ProgramHandle*;

  Result (*version)(int* major, int* minor);
  Result (*supportedCount)(int* count);
  Result (*supported)(int* architectures);
  Result (*create)(Program* program, const char* source, const char* name, int headerCount, const char* const* headers,
                   const char* const* includeNames);
  Result (*compile)(Program program, int optionCount, const char* const* options);
  Result (*codeSize)(Program program, size_t* bytes);
  Result (*code)(Program program, char* code);
  Result (*ptxSize)(Program program, size_t* bytes);
  Result (*ptx)(Program program, char* ptx);
  Result (*logSize)(Program program, size_t* bytes);
  Result (*log)(Program program, char* log);
  Result (*destroy)(Program* program);
  const char* (*errorString)(Result result);
};

/// What sources are compiled for on a device of this compute capability, and by which NVRTC: code is only worth keeping
/// together with this. Throws Error unsupported where NVRTC is missing or too old for the device.
struct Target {
  std::string architecture;  // sm_90; or compute_90, whose PTX the driver compiles for a device newer than NVRTC
  std::string compiler;      // its version

  static Target of(int major, int minor);
};

/// The device code of a source: a cubin, or PTX with a zero behind it. Throws Error internal with the compiler's log.
std::string compileSource(const std::string& source, const Target& target);

}  // namespace heddle::cuda
