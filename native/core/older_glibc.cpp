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

/// GLIBC_2.33; before that calls that take the layout's version, the kernel's own.
int __fxstat64(int version, int descriptor, struct stat64* status);
int __xstat(int version, const char* path, struct stat* status);
int __lxstat(int version, const char* path, struct stat* status);
int __fxstat(int version, int descriptor, struct stat* status);
int __fxstatat(int version, int folder, const char* path, struct stat* status, int flags);
#if defined(__x86_64__)
#define HEDDLE_STAT_VERSION 1
#else
#define HEDDLE_STAT_VERSION 0
#endif
int fstat64(int descriptor, struct stat64* status) noexcept {
  return __fxstat64(HEDDLE_STAT_VERSION, descriptor, status);
}
int stat(const char* path, struct stat* status) noexcept { return __xstat(HEDDLE_STAT_VERSION, path, status); }
int lstat(const char* path, struct stat* status) noexcept { return __lxstat(HEDDLE_STAT_VERSION, path, status); }
int fstat(int descriptor, struct stat* status) noexcept { return __fxstat(HEDDLE_STAT_VERSION, descriptor, status); }
int fstatat(int folder, const char* path, struct stat* status, int flags) noexcept {
  return __fxstatat(HEDDLE_STAT_VERSION, folder, path, status, flags);
}

/// GLIBC_2.36; std::random_device asks for it. Like glibc's own, it gives numbers or ends the process.
uint32_t arc4random() noexcept {
  uint32_t number;
  if (getentropy(&number, sizeof number) != 0) std::abort();
  return number;
}

}  // extern "C"
