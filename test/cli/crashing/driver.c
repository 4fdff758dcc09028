// A broken NVIDIA driver: crashes as it is loaded (CRASH_ON_LOAD), in cuInit (CRASH_IN_INIT), or never answers (HANG).
#include <stdlib.h>
#include <unistd.h>

#ifdef CRASH_ON_LOAD
__attribute__((constructor)) static void load(void) { *(volatile int*)0 = 1; }
#endif

int cuInit(unsigned flags) {
  (void)flags;
#ifdef CRASH_IN_INIT
  abort();
#endif
#ifdef HANG
  for (;;) pause();
#endif
  return 999;
}

// The driver is asked for its functions through this one, the runtime's way.
int cuGetProcAddress_v2(const char* name, void** function, int version, unsigned long long flags, void* status) {
  (void)name, (void)version, (void)flags, (void)status;
  *function = (void*)cuInit;
  return 0;
}

int cuDriverGetVersion(int* version) {
  *version = 13000;
  return cuInit(0);
}
