// Opening the library, and compiling by it.
#include "nvrtc.h"

#include <dlfcn.h>

#include <algorithm>
#include <vector>

#include "../core/error.h"
#include "library.h"

namespace heddle::cuda {
namespace {

std::string versionText(int major, int minor) { return std::to_string(major) + "." + std::to_string(minor); }

/// NVRTC opens a second library by its name alone and has no path to its own folder: one that is open already is found.
void openBuiltins(const Nvrtc& functions) {
  int major = 0, minor = 0;
  Dl_info info;
  if (functions.version(&major, &minor) != 0 || !dladdr(reinterpret_cast<const void*>(functions.version), &info) ||
      !info.dli_fname)
    return;
  const std::string path = info.dli_fname, name = "libnvrtc-builtins.so." + versionText(major, minor);
  // Where it is not there the system's loader may still know it; if not, compiling says so.
  dlopen((path.substr(0, path.rfind('/') + 1) + name).c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

Nvrtc open() {
  void* const library = openLibrary("libnvrtc.so.13");
  Nvrtc functions;
  bind(library, "nvrtcVersion", functions.version);
  bind(library, "nvrtcGetNumSupportedArchs", functions.supportedCount);
  bind(library, "nvrtcGetSupportedArchs", functions.supported);
  bind(library, "nvrtcCreateProgram", functions.create);
  bind(library, "nvrtcCompileProgram", functions.compile);
  bind(library, "nvrtcGetCUBINSize", functions.codeSize);
  bind(library, "nvrtcGetCUBIN", functions.code);
  bind(library, "nvrtcGetPTXSize", functions.ptxSize);
  bind(library, "nvrtcGetPTX", functions.ptx);
  bind(library, "nvrtcGetProgramLogSize", functions.logSize);
  bind(library, "nvrtcGetProgramLog", functions.log);
  bind(library, "nvrtcDestroyProgram", functions.destroy);
  bind(library, "nvrtcGetErrorString", functions.errorString);
  openBuiltins(functions);
  return functions;
}

const Nvrtc& nvrtc() {
  static const Nvrtc functions = open();
  return functions;
}

void check(Nvrtc::Result result, const char* what) {
  if (result != 0) throw Error(ErrorCode::internal, std::string("nvrtc: ") + what + ": " + nvrtc().errorString(result));
}

class CompiledProgram {
 public:
  explicit CompiledProgram(const std::string& source) {
    check(nvrtc().create(&program_, source.c_str(), "fused.cu", 0, nullptr, nullptr), "taking a source");
  }
  CompiledProgram(const CompiledProgram&) = delete;
  CompiledProgram& operator=(const CompiledProgram&) = delete;
  ~CompiledProgram() { nvrtc().destroy(&program_); }

  void compile(const std::vector<const char*>& options) {
    const int result = nvrtc().compile(program_, static_cast<int>(options.size()), options.data());
    if (result == 0) return;
    size_t bytes = 0;
    std::string log;
    if (nvrtc().logSize(program_, &bytes) == 0 && bytes > 1) {
      log.resize(bytes);
      nvrtc().log(program_, log.data());
      log.resize(bytes - 1);
    }
    throw Error(ErrorCode::internal, std::string("nvrtc: a generated source does not compile (") +
                                         nvrtc().errorString(result) + "):\n" + log);
  }

  std::string code(bool ptx) {
    size_t bytes = 0;
    check((ptx ? nvrtc().ptxSize : nvrtc().codeSize)(program_, &bytes), "asking for the code's size");
    std::string result(bytes, '\0');
    check((ptx ? nvrtc().ptx : nvrtc().code)(program_, result.data()), "reading the code");
    return result;
  }

 private:
  Nvrtc::Program program_ = nullptr;
};

bool givesPtx(const Target& target) { return target.architecture.rfind("compute_", 0) == 0; }

}  // namespace

Target Target::of(int major, int minor) {
  int count = 0, versionMajor = 0, versionMinor = 0;
  check(nvrtc().version(&versionMajor, &versionMinor), "asking for its version");
  check(nvrtc().supportedCount(&count), "asking for its architectures");
  std::vector<int> known(static_cast<size_t>(count));
  check(nvrtc().supported(known.data()), "asking for its architectures");
  const int wanted = major * 10 + minor;
  int best = 0;
  for (const int architecture : known)
    if (architecture <= wanted) best = std::max(best, architecture);
  const std::string compiler = versionText(versionMajor, versionMinor);
  if (best == 0)
    throw Error(ErrorCode::unsupported, "nvrtc " + compiler + " does not compile for compute capability " +
                                            std::to_string(major) + "." + std::to_string(minor));
  return {(best == wanted ? "sm_" : "compute_") + std::to_string(best), compiler};
}

std::string compileSource(const std::string& source, const Target& target) {
  const std::string architecture = "--gpu-architecture=" + target.architecture;
  CompiledProgram program(source);
  // Products and sums round one by one, so that a result does not depend on what else its program computes.
  program.compile({architecture.c_str(), "-std=c++17", "--fmad=false", "--disable-warnings"});
  return program.code(givesPtx(target));
}

}  // namespace heddle::cuda
