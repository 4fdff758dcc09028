// Compares native/cuda/nvrtc.h with the real header; compiling it is the test.
#include <nvrtc.h>

#include "../../../cuda/nvrtc.h"
#include "same_abi.h"

using heddle::cuda::Nvrtc;
using heddle::test::sameAbi;

static_assert(NVRTC_SUCCESS == 0);
static_assert(sameAbi(&Nvrtc::version, nvrtcVersion));
static_assert(sameAbi(&Nvrtc::supportedCount, nvrtcGetNumSupportedArchs));
static_assert(sameAbi(&Nvrtc::supported, nvrtcGetSupportedArchs));
static_assert(sameAbi(&Nvrtc::create, nvrtcCreateProgram));
static_assert(sameAbi(&Nvrtc::compile, nvrtcCompileProgram));
static_assert(sameAbi(&Nvrtc::codeSize, nvrtcGetCUBINSize));
static_assert(sameAbi(&Nvrtc::code, nvrtcGetCUBIN));
static_assert(sameAbi(&Nvrtc::ptxSize, nvrtcGetPTXSize));
static_assert(sameAbi(&Nvrtc::ptx, nvrtcGetPTX));
static_assert(sameAbi(&Nvrtc::logSize, nvrtcGetProgramLogSize));
static_assert(sameAbi(&Nvrtc::log, nvrtcGetProgramLog));
static_assert(sameAbi(&Nvrtc::destroy, nvrtcDestroyProgram));
static_assert(sameAbi(&Nvrtc::errorString, nvrtcGetErrorString));
