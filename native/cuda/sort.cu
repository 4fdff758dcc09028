// A pass counts each tile's digits, adds the counts up, and moves every key to its place: behind the smaller digits,
// the tiles before its own, the warps before its own and the equal digits before it in its warp (Merrill and Grimshaw
// 2011, "High Performance and Scalable Radix Sorting"). Keys that fit one tile take one kernel a pass.
#include "sort.h"

#include <bit>
#include <string>

#include "device/scan.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;
constexpr int kThreads = kDigits;  // a digit's counts are one thread's
constexpr int kWarps = kThreads / 32;
constexpr int kPerThread = 8;
constexpr uint32_t kTile = kThreads * kPerThread;

__device__ inline int digitOf(uint32_t key, int shift) { return static_cast<int>(key >> shift & (kDigits - 1)); }

/// counts[digit][tile], whose row is one digit's.
__global__ void __launch_bounds__(kThreads)
    countDigits(const uint32_t* keys, uint32_t count, int shift, uint32_t* counts, uint32_t tiles) {
  __shared__ uint32_t seen[kDigits];
  seen[threadIdx.x] = 0;
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kPerThread; k++) {
    const uint32_t i = blockIdx.x * kTile + k * kThreads + threadIdx.x;
    if (i < count) atomicAdd(&seen[digitOf(keys[i], shift)], 1u);
  }
  __syncthreads();
  counts[threadIdx.x * tiles + blockIdx.x] = seen[threadIdx.x];
}

/// Each row becomes running sums over its tiles, a block a row; `totals` are the rows' sums.
__global__ void __launch_bounds__(kThreads) scanTiles(uint32_t* counts, uint32_t tiles, uint32_t* totals) {
  __shared__ uint32_t scratch[32];
  uint32_t* row = counts + blockIdx.x * tiles;
  uint32_t before = 0;
  for (uint32_t first = 0; first < tiles; first += kThreads) {
    const uint32_t tile = first + threadIdx.x, own = tile < tiles ? row[tile] : 0;
    uint32_t total;
    const uint32_t start = blockScan(own, total, scratch);
    if (tile < tiles) row[tile] = before + start;
    before += total;
  }
  if (threadIdx.x == 0) totals[blockIdx.x] = before;
}

/// The lanes whose digit is the caller's, among those that have one.
__device__ inline uint32_t lanesOfDigit(int digit, bool valid) {
  uint32_t same = __ballot_sync(0xffffffffu, valid);
#pragma unroll
  for (int bit = 0; bit < kDigitBits; bit++) {
    const uint32_t set = __ballot_sync(0xffffffffu, digit >> bit & 1);
    same &= digit >> bit & 1 ? set : ~set;
  }
  return same;
}

/// `counts` and `totals` are null where there is one tile.
__global__ void __launch_bounds__(kThreads)
    moveToPlace(const uint32_t* keys, const uint32_t* positions, uint32_t count, int shift, const uint32_t* counts,
                uint32_t tiles, const uint32_t* totals, uint32_t* keysOut, uint32_t* positionsOut) {
  __shared__ uint32_t places[kWarps][kDigits];
  __shared__ uint32_t scratch[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int w = 0; w < kWarps; w++) places[w][threadIdx.x] = 0;
  __syncthreads();
  const uint32_t first = blockIdx.x * kTile + warp * (kPerThread * 32) + lane;
  uint32_t key[kPerThread], rank[kPerThread];
#pragma unroll
  for (int k = 0; k < kPerThread; k++) key[k] = first + k * 32 < count ? keys[first + k * 32] : 0;
#pragma unroll
  for (int k = 0; k < kPerThread; k++) {
    const bool valid = first + k * 32 < count;
    const int digit = digitOf(key[k], shift);
    const uint32_t same = lanesOfDigit(digit, valid), ahead = __popc(same & ((1u << lane) - 1));
    const uint32_t before = places[warp][digit];
    __syncwarp();
    if (valid && ahead == 0) places[warp][digit] = before + __popc(same);
    __syncwarp();
    rank[k] = before + ahead;
  }
  __syncthreads();
  const int digit = threadIdx.x;
  uint32_t own = 0;
  if (totals) {
    own = totals[digit];
  } else {
    for (int w = 0; w < kWarps; w++) own += places[w][digit];
  }
  uint32_t all, place = blockScan(own, all, scratch);
  if (totals) place += counts[digit * tiles + blockIdx.x];
  for (int w = 0; w < kWarps; w++) {
    const uint32_t here = places[w][digit];
    places[w][digit] = place;
    place += here;
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kPerThread; k++) {
    const uint32_t i = first + k * 32;
    if (i >= count) continue;
    const uint32_t to = places[warp][digitOf(key[k], shift)] + rank[k];
    keysOut[to] = key[k];
    positionsOut[to] = positions ? positions[i] : i;
  }
}

}  // namespace

StableSort::StableSort(const char* op, int64_t count, int64_t limit) : op_(op) {
  if (count > INT32_MAX || limit > UINT32_MAX)
    throw Error(ErrorCode::unsupported,
                std::string(op) + ": this device adds up at most 2147483647 values into at most 4294967295, not " +
                    std::to_string(count) + " into " + std::to_string(limit) + "; take parts of the operands");
  count_ = static_cast<uint32_t>(count);
  tiles_ = (count_ + kTile - 1) / kTile;
  if (count_ > 1 && limit > 1)
    passes_ = (static_cast<int>(std::bit_width(static_cast<uint64_t>(limit - 1))) + kDigitBits - 1) / kDigitBits;
}

int64_t StableSort::stride() const { return (int64_t{count_} + 15) / 16 * 16; }

size_t StableSort::workspaceBytes() const {
  const int64_t counts = tiles_ > 1 ? kDigits * (int64_t{tiles_} + 1) : 0;
  return static_cast<size_t>((passes_ == 0 ? 1 : 4) * stride() + counts) * sizeof(uint32_t);
}

Sorted StableSort::run(void* workspace) const {
  uint32_t* keys[2] = {this->keys(workspace), this->keys(workspace) + stride()};
  uint32_t* positions[2] = {keys[1] + stride(), keys[1] + 2 * stride()};
  uint32_t* totals = tiles_ > 1 ? positions[1] + stride() : nullptr;
  uint32_t* counts = tiles_ > 1 ? totals + kDigits : nullptr;
  int from = 0;
  for (int pass = 0; pass < passes_; pass++, from = 1 - from) {
    const int shift = pass * kDigitBits;
    if (totals) {
      launch(op_, countDigits, tiles_, kThreads, 0, keys[from], count_, shift, counts, tiles_);
      launch(op_, scanTiles, kDigits, kThreads, 0, counts, tiles_, totals);
    }
    launch(op_, moveToPlace, tiles_, kThreads, 0, keys[from], pass == 0 ? nullptr : positions[from], count_, shift,
           counts, tiles_, totals, keys[1 - from], positions[1 - from]);
  }
  return {keys[from], passes_ == 0 ? nullptr : positions[from]};
}

}  // namespace heddle::cuda
