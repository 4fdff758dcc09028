// Element types on the device: what each computes in, and conversions of the 16-bit floats. Includes nothing of the
// host, for generated sources include it too.
#pragma once

#include "../../core/half.h"

namespace heddle::cuda {

template <typename T>
struct ComputeOf {
  using type = T;
};
template <>
struct ComputeOf<BFloat16> {
  using type = float;
};
template <>
struct ComputeOf<Float16> {
  using type = float;
};
/// The type arithmetic on T happens in: f32 for the 16-bit floats, else T itself.
template <typename T>
using Compute = typename ComputeOf<T>::type;

__device__ inline float widen(BFloat16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

__device__ inline float widen(Float16 x) {
#ifdef __CUDA_ARCH__
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
  return result;
#else
  // Exponents are moved by a multiplication with 2^112, which also normalises subnormals.
  const unsigned magnitude = (x.bits & 0x7fffu) << 13;
  unsigned bits = __float_as_uint(__uint_as_float(magnitude) * 0x1p112f);
  if ((x.bits & 0x7c00u) == 0x7c00u) bits = magnitude | 0x7f800000u;
  return __uint_as_float(bits | ((x.bits & 0x8000u) << 16));
#endif
}

template <typename T>
__device__ inline T widen(T x) {
  return x;
}

template <typename T>
struct Narrow {
  __device__ static T from(T x) { return x; }
};

template <>
struct Narrow<BFloat16> {
  __device__ static BFloat16 from(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    BFloat16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
#else
    // Round to nearest even: the discarded half is added with the last kept bit breaking the tie.
    const unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<unsigned short>((bits >> 16) | 0x40u)};
    return {static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
#endif
  }
};

template <>
struct Narrow<Float16> {
  __device__ static Float16 from(float x) {
#ifdef __CUDA_ARCH__
    Float16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
#else
    const unsigned bits = __float_as_uint(x);
    const unsigned magnitude = bits & 0x7fffffffu;
    unsigned half;
    if (magnitude > 0x7f800000u) {
      half = 0x7e00u;
    } else if (magnitude < 0x38800000u) {
      // Below 2^-14 the result is a multiple of 2^-24, which is the spacing of floats at 0.5: the addition rounds.
      half = __float_as_uint(__uint_as_float(magnitude) + 0.5f) - 0x3f000000u;
    } else {
      const unsigned rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
      half = rounded >= 0x47800000u ? 0x7c00u : (rounded >> 13) - (112u << 10);
    }
    return {static_cast<unsigned short>(half | ((bits >> 16) & 0x8000u))};
#endif
  }
};

/// The value rounded to T.
template <typename T>
__device__ inline T narrow(Compute<T> x) {
  return Narrow<T>::from(x);
}

/// 2^x with a relative error below 2^-21, and 0 where that is subnormal.
__device__ inline float approximateExp2(float x) {
#ifdef __CUDA_ARCH__
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#else
  return exp2f(x);
#endif
}

}  // namespace heddle::cuda
