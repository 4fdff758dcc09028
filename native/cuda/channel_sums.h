// The first of batch norm's three kernels: per channel, sums over parts of its elements. Parts depend on the shape only.
#pragma once

#include <type_traits>

#include "device/divide.h"
#include "device/moments.h"
#include "device/pack.h"
#include "device/scalar.h"
#include "launch.h"

namespace heddle::cuda {

inline constexpr int kNormThreads = 256;
inline constexpr int kPacksAtOnce = 4;

template <typename C, int width, bool kGrad>
using ChannelSums = std::conditional_t<kGrad, SlopeSums<C, width>, Moments<C, width>>;

/// Memory of [outer][channels][inner] with inner above 1: a block has a part of one channel, in packs of neighbouring
/// elements. partials[channel][part].
template <typename T, int width, bool kGrad>
__global__ void __launch_bounds__(kNormThreads)
    sumPlanes(const Pack<T, width>* x, const Pack<T, width>* dy, const Compute<T>* mean, int channels,
              Divider<uint32_t> packsPerPlane, uint32_t packs, uint32_t parts,
              ChannelSums<Compute<T>, 1, kGrad>* partials) {
  using C = Compute<T>;
  __shared__ ChannelSums<C, 1, kGrad> warps[kNormThreads / 32];
  const uint32_t channel = blockIdx.x / parts, part = blockIdx.x % parts;
  const auto first = static_cast<uint32_t>(uint64_t{packs} * part / parts);
  const auto last = static_cast<uint32_t>(uint64_t{packs} * (part + 1) / parts);
  const C middle = kGrad ? mean[channel] : C(0);
  ChannelSums<C, 1, kGrad> total{};
  for (uint32_t start = first + threadIdx.x; start < last; start += kNormThreads * kPacksAtOnce) {
    Pack<T, width> values[kPacksAtOnce], slopes[kPacksAtOnce];
    int valid = 0;
#pragma unroll
    for (int k = 0; k < kPacksAtOnce; k++) {
      uint32_t plane = start + k * kNormThreads;
      if (plane >= last) continue;
      valid++;
      const uint32_t inside = split(plane, packsPerPlane);
      const int64_t at = (int64_t{plane} * channels + channel) * packsPerPlane.divisor + inside;
      values[k] = x[at];
      if constexpr (kGrad) slopes[k] = dy[at];
    }
    ChannelSums<C, 1, kGrad> sums{};
#pragma unroll
    for (int k = 0; k < kPacksAtOnce; k++) {
      if (k >= valid) continue;
#pragma unroll
      for (int j = 0; j < width; j++) {
        if constexpr (kGrad) {
          const C slope = widen(slopes[k].element[j]);
          sums.sum[0] += slope;
          sums.product[0] += slope * (widen(values[k].element[j]) - middle);
        } else {
          sums.sum[0] += widen(values[k].element[j]);
        }
      }
    }
    if constexpr (!kGrad) {
      sums.count = static_cast<C>(valid * width);
      const C own = sums.sum[0] / sums.count;
#pragma unroll
      for (int k = 0; k < kPacksAtOnce; k++) {
        if (k >= valid) continue;
#pragma unroll
        for (int j = 0; j < width; j++) {
          const C distance = widen(values[k].element[j]) - own;
          sums.squares[0] += distance * distance;
        }
      }
    }
    total.merge(sums);
  }
  total = warpMerge(total);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = total;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int warp = 1; warp < kNormThreads / 32; warp++) total.merge(warps[warp]);
  partials[channel * parts + part] = total;
}

/// Memory of [rows][channels]: a thread has a pack of neighbouring channels, of which 2^lanesLog lie side by side in a
/// block, and every so many rows of a part. partials[channel][part].
template <typename T, int width, bool kGrad>
__global__ void __launch_bounds__(kNormThreads)
    sumRows(const T* x, const T* dy, const Compute<T>* mean, int channels, int64_t rows, int lanesLog,
            ChannelSums<Compute<T>, 1, kGrad>* partials) {
  using C = Compute<T>;
  using Sums = ChannelSums<C, width, kGrad>;
  __shared__ Sums threads[kNormThreads];
  const int lanes = 1 << lanesLog, lane = threadIdx.x & (lanes - 1), row = threadIdx.x >> lanesLog;
  const int rowsAtOnce = kNormThreads >> lanesLog;
  const int64_t first = rows * blockIdx.y / gridDim.y, last = rows * (blockIdx.y + 1) / gridDim.y;
  const int channel = (blockIdx.x * lanes + lane) * width;
  Sums total{};
  if (channel < channels) {
    C middle[width];
#pragma unroll
    for (int j = 0; j < width; j++) middle[j] = kGrad ? mean[channel + j] : C(0);
    for (int64_t start = first + row; start < last; start += rowsAtOnce * kPacksAtOnce) {
      Pack<T, width> values[kPacksAtOnce], slopes[kPacksAtOnce];
      int valid = 0;
#pragma unroll
      for (int k = 0; k < kPacksAtOnce; k++) {
        const int64_t at = (start + k * rowsAtOnce) * channels + channel;
        if (start + k * rowsAtOnce >= last) continue;
        valid++;
        values[k] = loadPack<width>(x + at);
        if constexpr (kGrad) slopes[k] = loadPack<width>(dy + at);
      }
      Sums sums{};
      if constexpr (!kGrad) sums.count = static_cast<C>(valid);
#pragma unroll
      for (int j = 0; j < width; j++) {
#pragma unroll
        for (int k = 0; k < kPacksAtOnce; k++) {
          if (k >= valid) continue;
          if constexpr (kGrad) {
            const C slope = widen(slopes[k].element[j]);
            sums.sum[j] += slope;
            sums.product[j] += slope * (widen(values[k].element[j]) - middle[j]);
          } else {
            sums.sum[j] += widen(values[k].element[j]);
          }
        }
        if constexpr (!kGrad) {
          const C own = sums.sum[j] / sums.count;
#pragma unroll
          for (int k = 0; k < kPacksAtOnce; k++) {
            if (k >= valid) continue;
            const C distance = widen(values[k].element[j]) - own;
            sums.squares[j] += distance * distance;
          }
        }
      }
      total.merge(sums);
    }
  }
  threads[threadIdx.x] = total;
  __syncthreads();
  for (int step = rowsAtOnce / 2; step > 0; step /= 2) {
    if (row < step) threads[threadIdx.x].merge(threads[threadIdx.x + step * lanes]);
    __syncthreads();
  }
  if (row > 0 || channel >= channels) return;
#pragma unroll
  for (int j = 0; j < width; j++)
    partials[static_cast<int64_t>(channel + j) * gridDim.y + blockIdx.y] = threads[threadIdx.x].channel(j);
}

}  // namespace heddle::cuda
