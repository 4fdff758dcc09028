// What this system's compiler and static C++ runtime take from glibc and an older glibc does not have, by its means.
// Part of what is linked for a glibc older than the system's (HEDDLE_GLIBC_FLOOR); nothing of it is shown to others.
#include <sys/random.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>

extern "C" {

/// GLIBC_2.32. Whether atomics may be left out: never.
extern char __libc_single_threaded;
char __libc_single_threaded = 0;

/// GLIBC_2.33; before that a call that takes the layout's version, the kernel's own.
int __fxstat64(int version, int descriptor, struct stat64* status);
int fstat64(int descriptor, struct stat64* status) noexcept {
#if defined(__x86_64__)
  return __fxstat64(1, descriptor, status);
#else
  return __fxstat64(0, descriptor, status);
#endif
}

/// GLIBC_2.36; std::random_device asks for it. Like glibc's own, it gives numbers or ends the process.
uint32_t arc4random() noexcept {
  uint32_t number;
  if (getentropy(&number, sizeof number) != 0) std::abort();
  return number;
}

}  // extern "C"
