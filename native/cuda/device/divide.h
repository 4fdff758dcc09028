// Division by numbers known before the launch, which is what walking a tensor's axes takes.
#pragma once

#include <cstdint>

namespace heddle::cuda {

template <typename Offset>
struct Divider;

/// For dividends below 2^31, or 2^63: a multiplication and a shift (Granlund and Montgomery 1994, "Division by
/// Invariant Integers using Multiplication", section 4).
template <>
struct Divider<uint32_t> {
  uint32_t divisor = 1, factor = 1, shift = 0;

  Divider() = default;
  /// Of 1 to 2^31 - 1.
  explicit Divider(int64_t number) : divisor(static_cast<uint32_t>(number)) {
    while ((uint64_t{1} << shift) < divisor) shift++;
    factor = static_cast<uint32_t>((((uint64_t{1} << shift) - divisor) << 32) / divisor + 1);
  }
  __device__ uint32_t quotient(uint32_t dividend) const { return (__umulhi(dividend, factor) + dividend) >> shift; }
};

template <>
struct Divider<uint64_t> {
  uint64_t divisor = 1, factor = 1;
  uint32_t shift = 0;

  Divider() = default;
  /// Of 1 to 2^63 - 1.
  explicit Divider(int64_t number) : divisor(static_cast<uint64_t>(number)) {
    while ((uint64_t{1} << shift) < divisor) shift++;
    using Wide = unsigned __int128;
    factor = static_cast<uint64_t>((Wide{(uint64_t{1} << shift) - divisor} << 64) / divisor + 1);
  }
  __device__ uint64_t quotient(uint64_t dividend) const { return (__umul64hi(dividend, factor) + dividend) >> shift; }
};

/// Splits off the innermost coordinate: gives it and leaves the others in `position`.
template <typename Offset>
__device__ inline Offset split(Offset& position, const Divider<Offset>& extent) {
  const Offset rest = extent.quotient(position), coordinate = position - rest * extent.divisor;
  position = rest;
  return coordinate;
}

}  // namespace heddle::cuda
