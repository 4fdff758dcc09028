// The block's dynamic shared memory.
#pragma once

namespace heddle::cuda {

/// As much of it as the launch asked for, aligned to 16 bytes.
template <typename T>
__device__ inline T* dynamicSharedMemory() {
#ifdef __CUDACC__
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
#else
  return static_cast<T*>(heddle::emulation::dynamicShared());
#endif
}

}  // namespace heddle::cuda
