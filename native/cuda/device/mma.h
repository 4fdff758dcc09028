// Tensor cores: a warp's product of two blocks of 16-bit floats, the loads that give each lane its share of a block,
// and copies to shared memory that go on while the block computes. Inline PTX, with twins of plain arithmetic for the
// host.
//
// With g = lane / 4 and c = lane % 4 a lane holds, two neighbours to a word, the lower half first:
//   left block [16][16]    rows g, g + 8, g, g + 8 of columns 2c, 2c, 2c + 8, 2c + 8
//   right block [16][8]    column g of rows 2c and 2c + 8
//   sums [16][8]           row g of columns 2c and 2c + 1, then row g + 8 of the same
// (PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type"). All 32 lanes call.
#pragma once

#include <type_traits>

#include "scalar.h"

// nvcc's pass over the host's code reads device functions too, and the emulation is no architecture at all.
#ifdef __CUDA_ARCH__
#define HEDDLE_ARCHITECTURE __CUDA_ARCH__
#else
#define HEDDLE_ARCHITECTURE 800
#endif

namespace heddle::cuda {

/// Whether the architecture that is compiled for has tensor cores for T. Kernels that need them are empty elsewhere.
template <typename T>
constexpr bool hasTensorCores() {
#if HEDDLE_ARCHITECTURE < 800
  return std::is_same_v<T, Float16>;
#else
  return std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;
#endif
}

/// Two values rounded to T, in one word.
template <typename T>
__device__ inline unsigned packPair(float low, float high) {
#if defined(__CUDACC__) && HEDDLE_ARCHITECTURE >= 800
  unsigned word;
  if constexpr (std::is_same_v<T, BFloat16>)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
#else
  return narrow<T>(low).bits | static_cast<unsigned>(narrow<T>(high).bits) << 16;
#endif
}

#ifndef __CUDACC__
/// What half of a word stands for.
template <typename T>
inline float halfOf(unsigned word, int half) {
  return widen(T{static_cast<unsigned short>(word >> (16 * half))});
}
#endif

/// sums += left * right.
template <typename T>
__device__ inline void multiplyAdd(float (&sums)[4], const unsigned (&left)[4], unsigned right0, unsigned right1) {
#ifndef __CUDACC__
  uint64_t lefts[2][32], rights[32];
  for (int k = 0; k < 2; k++)
    emulation::gather(0xffffffffu, left[2 * k] | static_cast<uint64_t>(left[2 * k + 1]) << 32, lefts[k]);
  emulation::gather(0xffffffffu, right0 | static_cast<uint64_t>(right1) << 32, rights);
  const int lane = threadIdx.x % 32;
  for (int i = 0; i < 4; i++) {
    const int row = lane / 4, column = lane % 4 * 2 + i % 2, half = i / 2;
    for (int k = 0; k < 16; k++) {
      const int holder = k % 8 / 2;
      const auto a = static_cast<unsigned>(lefts[k / 8][row * 4 + holder] >> (32 * half));
      const auto b = static_cast<unsigned>(rights[column * 4 + holder] >> (32 * (k / 8)));
      sums[i] += halfOf<T>(a, k % 2) * halfOf<T>(b, k % 2);
    }
  }
#elif HEDDLE_ARCHITECTURE >= 800
  if constexpr (std::is_same_v<T, BFloat16>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right0), "r"(right1));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right0), "r"(right1));
#else
  static_assert(std::is_same_v<T, Float16>, "tensor cores before sm_80 take f16 only");
  // Eight of the sixteen columns and rows at a time, whose shares are the words as they are.
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
               : "r"(left[0]), "r"(left[1]), "r"(right0));
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
               : "r"(left[2]), "r"(left[3]), "r"(right1));
#endif
}

#ifdef __CUDACC__
__device__ inline unsigned sharedAddress(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}
#endif

/// Loads four matrices [8][8] of 16-bit elements from shared memory. `row` is 16 bytes, aligned to 16: row `lane % 8`
/// of matrix `lane / 8`. The lane gets of each the elements 2c and 2c + 1 of row g; `transposed`, element g of rows 2c
/// and 2c + 1.
template <bool transposed>
__device__ inline void loadMatrices(unsigned (&words)[4], const void* row) {
#ifndef __CUDACC__
  uint64_t rows[32];
  emulation::gather(0xffffffffu, reinterpret_cast<uint64_t>(row), rows);
  const int lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  const auto at = [&](int matrix, int r, int column) {
    return unsigned{reinterpret_cast<const unsigned short*>(rows[matrix * 8 + r])[column]};
  };
  for (int i = 0; i < 4; i++)
    words[i] = transposed ? at(i, 2 * c, g) | at(i, 2 * c + 1, g) << 16 : at(i, g, 2 * c) | at(i, g, 2 * c + 1) << 16;
#else
  if constexpr (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(sharedAddress(row))
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(sharedAddress(row))
                 : "memory");
#endif
}

/// Starts the copy of 16 bytes to shared memory, both aligned to 16, or fills them with zeros where there is nothing to
/// copy. They are there once `waitForCopies` has returned, for other threads behind a barrier. Before sm_80 at once.
__device__ inline void copyAsync(void* shared, const void* global, bool present) {
#ifndef __CUDACC__
  emulation::copyLater(shared, global, present ? 16 : 0, 16);
#elif HEDDLE_ARCHITECTURE >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(sharedAddress(shared)), "l"(global),
               "r"(present ? 16 : 0)
               : "memory");
#else
  *static_cast<uint4*>(shared) = present ? *static_cast<const uint4*>(global) : make_uint4(0, 0, 0, 0);
#endif
}

/// Waits for all copies that the calling thread started.
__device__ inline void waitForCopies() {
#ifndef __CUDACC__
  emulation::finishCopies();
#elif HEDDLE_ARCHITECTURE >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

}  // namespace heddle::cuda
