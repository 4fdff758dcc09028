// Sums of rows that share a key: each sum's terms in the order of their positions, in chunks whose borders only the
// keys decide, so that results repeat bit for bit and one key with many rows does not make one thread walk them all.
#pragma once

#include <algorithm>
#include <bit>

#include "device/pack.h"
#include "device/scalar.h"
#include "launch.h"
#include "sort.h"

namespace heddle::cuda {

/// Rows that one thread adds up, and those it has in flight.
inline constexpr uint32_t kChunk = 32;
inline constexpr uint32_t kRowsAtOnce = 4;
/// The key of a chunk's sum that there is none of.
inline constexpr uint32_t kNoKey = UINT32_MAX;
inline constexpr int kSumThreads = 256;

/// Adds to out[key] the rows of each run of equal keys that lies within one chunk. A run that leaves its chunk gives a
/// partial sum in each: the one that came in at 2 chunk, the one that goes on at 2 chunk + 1 (zero where that is the
/// same). These are again rows sorted by key, to be added up by the next launch.
///
/// A thread has a pack of columns of one chunk; 2^lanesLog neighbours have the same chunk.
template <typename T, typename In, int width>
__global__ void __launch_bounds__(kSumThreads)
    sumRuns(Sorted sorted, const Pack<In, width>* values, uint32_t count, int64_t columns, int lanesLog,
            Pack<T, width>* out, uint32_t* partialKeys, Pack<Compute<T>, width>* partials) {
  using C = Compute<T>;
  const uint32_t chunk = blockIdx.x * (kSumThreads >> lanesLog) + (threadIdx.x >> lanesLog), first = chunk * kChunk;
  if (first >= count) return;
  const uint32_t last = min(first + kChunk, count);
  const uint32_t firstKey = sorted.keys[first];
  const bool cameIn = first > 0 && sorted.keys[first - 1] == firstKey;
  const int64_t lanes = int64_t{1} << lanesLog;
  for (int64_t column = blockIdx.y * lanes + (threadIdx.x & (lanes - 1)); column < columns;
       column += gridDim.y * lanes) {
    uint32_t key = firstKey;
    bool open = cameIn;
    Pack<C, width> sum{};
    const auto close = [&] {
      if (open) {
        partials[2 * int64_t{chunk} * columns + column] = sum;
      } else if (key != kNoKey) {
        Pack<T, width>& target = out[key * columns + column];
        Pack<T, width> result = target;
#pragma unroll
        for (int j = 0; j < width; j++)
          result.element[j] = narrow<T>(static_cast<C>(widen(result.element[j]) + sum.element[j]));
        target = result;
      }
    };
    for (uint32_t i = first; i < last; i += kRowsAtOnce) {
      uint32_t keys[kRowsAtOnce];
      Pack<In, width> rows[kRowsAtOnce];
#pragma unroll
      for (uint32_t k = 0; k < kRowsAtOnce; k++) {
        keys[k] = i + k < last ? sorted.keys[i + k] : kNoKey;
        if (keys[k] == kNoKey) continue;
        const int64_t row = sorted.positions ? sorted.positions[i + k] : i + k;
        rows[k] = values[row * columns + column];
      }
#pragma unroll
      for (uint32_t k = 0; k < kRowsAtOnce; k++) {
        if (i + k >= last) continue;
        if (keys[k] != key) {
          close();
          key = keys[k];
          open = false;
          sum = {};
        }
        if (key == kNoKey) continue;
#pragma unroll
        for (int j = 0; j < width; j++) sum.element[j] = static_cast<C>(sum.element[j] + widen(rows[k].element[j]));
      }
    }
    const bool goesOn = last < count && sorted.keys[last] == key;
    if (!goesOn || open) close();
    if (goesOn) partials[(2 * int64_t{chunk} + 1) * columns + column] = open ? Pack<C, width>{} : sum;
    if (column == 0 && count > kChunk) {
      partialKeys[2 * chunk] = cameIn ? firstKey : kNoKey;
      partialKeys[2 * chunk + 1] = goesOn ? key : kNoKey;
    }
  }
}

/// Sorts rows by key and adds them up: out[key] += the sum of the rows of values with that key, rounded once.
template <typename T>
class SegmentSum {
  using C = Compute<T>;

 public:
  /// Of `count` rows of `size` elements, by keys below `limit`. Throws as StableSort does.
  SegmentSum(const char* op, int64_t count, int64_t size, int64_t limit)
      : op_(op), count_(count), size_(size), sort_(op, count, limit) {}

  size_t workspaceBytes() const {
    size_t bytes = aligned(sort_.workspaceBytes());
    for (int64_t rows = count_; rows > kChunk;) bytes += levelBytes(rows = partialsOf(rows));
    return bytes;
  }

  /// Where in the workspace the keys have to be before `run`.
  uint32_t* keys(void* workspace) const { return sort_.keys(workspace); }

  void run(void* workspace, const T* values, T* out) const {
    constexpr int wide = sizeof(T) == 1 ? 4 : kPackWidth<T>;
    if (size_ % wide == 0 && packAligned(values) && packAligned(out))
      queue<wide>(workspace, values, out);
    else
      queue<1>(workspace, values, out);
  }

 private:
  static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
  static int64_t partialsOf(int64_t rows) { return (rows + kChunk - 1) / kChunk * 2; }
  size_t keyBytes(int64_t rows) const { return aligned(static_cast<size_t>(rows) * sizeof(uint32_t)); }
  size_t levelBytes(int64_t rows) const {
    return keyBytes(rows) + aligned(static_cast<size_t>(rows * size_) * sizeof(C));
  }

  template <int width>
  void queue(void* workspace, const T* values, T* out) const {
    auto* scratch = static_cast<char*>(workspace) + aligned(sort_.workspaceBytes());
    Sorted sorted = sort_.run(workspace);
    const C* partials = nullptr;
    for (int64_t rows = count_;; rows = partialsOf(rows)) {
      auto* nextKeys = reinterpret_cast<uint32_t*>(scratch);
      auto* next = reinterpret_cast<C*>(scratch + keyBytes(partialsOf(rows)));
      if (partials)
        level<C, width>(sorted, partials, rows, out, nextKeys, next);
      else
        level<T, width>(sorted, values, rows, out, nextKeys, next);
      if (rows <= kChunk) return;
      sorted = {nextKeys, nullptr};
      partials = next;
      scratch += levelBytes(partialsOf(rows));
    }
  }

  template <typename In, int width>
  void level(Sorted sorted, const In* values, int64_t rows, T* out, uint32_t* nextKeys, C* next) const {
    const int64_t columns = size_ / width, chunks = (rows + kChunk - 1) / kChunk;
    // At most a warp has one chunk: wider would leave more lanes without a column.
    const int lanesLog = std::min(static_cast<int>(std::bit_width(static_cast<uint64_t>(columns - 1))), 5);
    const int64_t lanes = int64_t{1} << lanesLog, together = kSumThreads / lanes;
    const dim3 grid(static_cast<unsigned>((chunks + together - 1) / together),
                    static_cast<unsigned>(std::min<int64_t>((columns + lanes - 1) / lanes, 65535)));
    launch(op_, sumRuns<T, In, width>, grid, kSumThreads, 0, sorted, reinterpret_cast<const Pack<In, width>*>(values),
           static_cast<uint32_t>(rows), columns, lanesLog, reinterpret_cast<Pack<T, width>*>(out), nextKeys,
           reinterpret_cast<Pack<C, width>*>(next));
  }

  const char* op_;
  int64_t count_, size_;
  StableSort sort_;
};

}  // namespace heddle::cuda
