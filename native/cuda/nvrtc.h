// NVRTC, the compiler of generated CUDA sources: opened at first use.
#pragma once

#include <string>

namespace heddle::cuda {

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
