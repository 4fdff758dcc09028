// What a kernel finds defined without any include, for the host: qualifiers, built-in variables, barriers, warp
// intrinsics, atomics and the mathematical functions that the host's library lacks. Kernels and generated sources are
// compiled against it as they are.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __grid_constant__
// One block runs at a time, so what its threads share may be static.
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

#define HEDDLE_EMULATION_API __attribute__((visibility("default")))

namespace heddle::emulation {

/// Where the running thread is. Written by the scheduler as it switches threads.
struct Position {
  uint3 thread, block;
  dim3 blockSize, gridSize;
  unsigned lane, warp;
};
extern HEDDLE_EMULATION_API Position position;

/// The block's dynamic shared memory, aligned to 1024 bytes, filled with a signalling pattern before each block.
HEDDLE_EMULATION_API void* dynamicShared();

/// Waits for every thread of the block that has not returned; gives how many came with a true predicate.
HEDDLE_EMULATION_API unsigned blockBarrier(bool predicate);
/// Waits for the lanes of the mask; gives the value that `source` came with, or the lane's own where it is not in the
/// mask.
HEDDLE_EMULATION_API uint64_t shuffle(unsigned mask, uint64_t value, unsigned source);
/// Waits for the lanes of the mask; gives the set of those that came with a true predicate.
HEDDLE_EMULATION_API unsigned ballot(unsigned mask, bool predicate);
/// Waits for the lanes of the mask; fills `values` with what each lane came with.
HEDDLE_EMULATION_API void gather(unsigned mask, uint64_t value, uint64_t (&values)[32]);

/// Copies `bytes`, and zeros up to `filled`, when the calling thread calls `finishCopies`, and not before: what is read
/// too early is not there.
HEDDLE_EMULATION_API void copyLater(void* to, const void* from, size_t bytes, size_t filled);
HEDDLE_EMULATION_API void finishCopies();

template <typename T>
inline T fromBits(uint64_t bits) {
  T value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

template <typename T>
inline T shuffled(unsigned mask, T value, unsigned source) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof value);
  bits = shuffle(mask, bits, source);
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace heddle::emulation

inline const uint3& threadIdx = heddle::emulation::position.thread;
inline const uint3& blockIdx = heddle::emulation::position.block;
inline const dim3& blockDim = heddle::emulation::position.blockSize;
inline const dim3& gridDim = heddle::emulation::position.gridSize;
static constexpr int warpSize = 32;

inline void __syncthreads() { heddle::emulation::blockBarrier(false); }
inline int __syncthreads_count(int predicate) {
  return static_cast<int>(heddle::emulation::blockBarrier(predicate != 0));
}
inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) > 0; }
inline int __syncthreads_and(int predicate) { return __syncthreads_count(!predicate) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu) { heddle::emulation::ballot(mask, false); }
inline unsigned __ballot_sync(unsigned mask, int predicate) { return heddle::emulation::ballot(mask, predicate != 0); }
inline int __any_sync(unsigned mask, int predicate) { return heddle::emulation::ballot(mask, predicate != 0) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return heddle::emulation::ballot(mask, predicate == 0) == 0; }
// The whole warp is always taken as active: kernels must not rely on more.
inline unsigned __activemask() { return 0xffffffffu; }
template <typename T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const unsigned lane = heddle::emulation::position.lane, base = lane & ~unsigned(width - 1);
  return heddle::emulation::shuffled(mask, value, base + (unsigned(source) & unsigned(width - 1)));
}
template <typename T>
inline T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32) {
  const unsigned lane = heddle::emulation::position.lane, source = lane ^ unsigned(other);
  return heddle::emulation::shuffled(mask, value, (source & ~unsigned(width - 1)) > lane ? lane : source);
}
template <typename T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const unsigned lane = heddle::emulation::position.lane, within = lane & unsigned(width - 1);
  return heddle::emulation::shuffled(mask, value, within + by < unsigned(width) ? lane + by : lane);
}
template <typename T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const unsigned lane = heddle::emulation::position.lane, within = lane & unsigned(width - 1);
  return heddle::emulation::shuffled(mask, value, within >= by ? lane - by : lane);
}

// Kernels run one thread at a time, so plain accesses are atomic.
template <typename T, typename U>
inline T atomicAdd(T* address, U value) {
  const T old = *address;
  *address = static_cast<T>(old + value);
  return old;
}
template <typename T, typename U>
inline T atomicMax(T* address, U value) {
  const T old = *address;
  if (static_cast<T>(value) > old) *address = static_cast<T>(value);
  return old;
}
template <typename T, typename U>
inline T atomicMin(T* address, U value) {
  const T old = *address;
  if (static_cast<T>(value) < old) *address = static_cast<T>(value);
  return old;
}
template <typename T, typename U>
inline T atomicExch(T* address, U value) {
  const T old = *address;
  *address = static_cast<T>(value);
  return old;
}
template <typename T, typename U, typename V>
inline T atomicCAS(T* address, U expected, V value) {
  const T old = *address;
  if (old == static_cast<T>(expected)) *address = static_cast<T>(value);
  return old;
}
inline void __threadfence() {}
inline void __threadfence_block() {}
template <typename T>
inline T __ldg(const T* address) {
  return *address;
}

inline unsigned __float_as_uint(float x) {
  unsigned bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline int __float_as_int(float x) { return static_cast<int>(__float_as_uint(x)); }
inline float __uint_as_float(unsigned bits) { return heddle::emulation::fromBits<float>(bits); }
inline float __int_as_float(int bits) { return heddle::emulation::fromBits<float>(static_cast<unsigned>(bits)); }
inline long long __double_as_longlong(double x) {
  long long bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline double __longlong_as_double(long long bits) {
  return heddle::emulation::fromBits<double>(static_cast<uint64_t>(bits));
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / ::sqrt(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
HEDDLE_EMULATION_API double erfinv(double x);
HEDDLE_EMULATION_API float erfinvf(float x);
#ifdef __cplusplus
template <typename T>
inline T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
inline T max(T a, T b) {
  return a < b ? b : a;
}
#endif
