// Stands in for the CUDA backend where that is not built: opens NVIDIA's driver as it does, and starts it.
#include <dlfcn.h>
#include <stdio.h>

size_t heddle_backend_open(void** devices, size_t capacity, char* error, size_t length) {
  (void)devices, (void)capacity;
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) {
    snprintf(error, length, "the NVIDIA driver can not be loaded: %s", dlerror());
    return 0;
  }
  int (*start)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
  snprintf(error, length, "the driver answered %d", start ? start(0) : -1);
  return 0;
}
