// Stands for the CUDA driver where there is none, as libcuda.so.1: while cuDNN makes a plan it compiles the kernel by
// NVRTC and has the driver load it. That works here, and nothing else does.
namespace {
constexpr int kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE
int loaded;
}  // namespace

#define HEDDLE_SHOWN extern "C" __attribute__((visibility("default")))
#define HEDDLE_REFUSED(name) \
  HEDDLE_SHOWN int name() { return kNoDevice; }

HEDDLE_SHOWN int cuLibraryLoadData(void** library, ...) { return *library = &loaded, 0; }
HEDDLE_SHOWN int cuLibraryGetKernel(void** kernel, ...) { return *kernel = &loaded, 0; }
HEDDLE_SHOWN int cuKernelSetAttribute() { return 0; }

// What cuDNN looks for before it takes a library for the driver.
HEDDLE_REFUSED(cuCtxGetCurrent)
HEDDLE_REFUSED(cuCtxGetDevice)
HEDDLE_REFUSED(cuCtxGetLimit)
HEDDLE_REFUSED(cuCtxPopCurrent)
HEDDLE_REFUSED(cuCtxPushCurrent)
HEDDLE_REFUSED(cuDeviceGet)
HEDDLE_REFUSED(cuDeviceGetAttribute)
HEDDLE_REFUSED(cuDeviceGetCount)
HEDDLE_REFUSED(cuDevicePrimaryCtxRelease)
HEDDLE_REFUSED(cuDevicePrimaryCtxReset)
HEDDLE_REFUSED(cuDevicePrimaryCtxRetain)
HEDDLE_REFUSED(cuDriverGetVersion)
HEDDLE_REFUSED(cuFuncGetAttribute)
HEDDLE_REFUSED(cuFuncSetAttribute)
HEDDLE_REFUSED(cuGetErrorName)
HEDDLE_REFUSED(cuGetErrorString)
HEDDLE_REFUSED(cuInit)
HEDDLE_REFUSED(cuKernelGetAttribute)
HEDDLE_REFUSED(cuLaunchCooperativeKernel)
HEDDLE_REFUSED(cuLaunchKernel)
HEDDLE_REFUSED(cuLaunchKernelEx)
HEDDLE_REFUSED(cuLibraryLoadFromFile)
HEDDLE_REFUSED(cuLibraryUnload)
HEDDLE_REFUSED(cuLinkAddData)
HEDDLE_REFUSED(cuLinkAddData_v2)
HEDDLE_REFUSED(cuLinkAddFile_v2)
HEDDLE_REFUSED(cuLinkComplete)
HEDDLE_REFUSED(cuLinkCreate)
HEDDLE_REFUSED(cuLinkCreate_v2)
HEDDLE_REFUSED(cuLinkDestroy)
HEDDLE_REFUSED(cuMemcpyDtoH_v2)
HEDDLE_REFUSED(cuModuleGetFunction)
HEDDLE_REFUSED(cuModuleGetGlobal_v2)
HEDDLE_REFUSED(cuModuleLoadData)
HEDDLE_REFUSED(cuModuleLoadDataEx)
HEDDLE_REFUSED(cuModuleLoadFatBinary)
HEDDLE_REFUSED(cuModuleUnload)
HEDDLE_REFUSED(cuOccupancyMaxActiveBlocksPerMultiprocessor)
HEDDLE_REFUSED(cuOccupancyMaxPotentialClusterSize)
HEDDLE_REFUSED(cuStreamGetCtx)
HEDDLE_REFUSED(cuStreamSynchronize)
HEDDLE_REFUSED(cuTensorMapEncodeTiled)
