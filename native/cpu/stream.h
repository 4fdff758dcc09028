// Results that are larger than the caches, which would hardly keep them until they are read, go to memory past them:
// a line that is written as a whole is then not fetched first.
#pragma once

#include <cstdint>

namespace heddle {

/// Results of so many bytes and more are worth it.
constexpr int64_t kBeyondCaches = int64_t{16} << 20;
/// Pieces of fewer bytes are hardly more than their ends, which are parts of lines.
constexpr int64_t kLeastStreamed = 256;

/// Copies past the caches, whatever the alignment. As many bytes from `next` on are asked for meanwhile, if it is
/// given.
void streamCopy(void* to, const void* from, int64_t bytes, const void* next = nullptr);
/// Comes behind them, before another thread is told of what was written.
void endStreams();

/// Rows of results that one thread computes one after the other: each in the cache, from where it goes past it when it
/// is whole, or where it belongs at once.
template <typename T>
class RowWriter {
 public:
  /// Longer rows would not stay in the cache beside what they are computed from.
  static constexpr int64_t kMostBytes = int64_t{32} << 10;

  /// Whether rows are to be streamed. What is written in place is in the cache already.
  static bool streams(int64_t rows, int64_t size, bool inPlace) {
    const int64_t bytes = size * static_cast<int64_t>(sizeof(T));
    return !inPlace && bytes <= kMostBytes && rows * bytes >= kBeyondCaches;
  }

  RowWriter(T* out, int64_t size, bool streams) : out_(out), size_(size), streams_(streams) {}
  RowWriter(const RowWriter&) = delete;
  RowWriter& operator=(const RowWriter&) = delete;
  ~RowWriter() {
    if (streams_) endStreams();
  }

  /// Calls `compute` with the place of row `row`.
  template <typename Compute>
  void write(int64_t row, Compute&& compute) {
    write(row, size_, compute);
  }
  /// The same where the row is shorter.
  template <typename Compute>
  void write(int64_t row, int64_t size, Compute&& compute) {
    T* const to = out_ + row * size_;
    if (!streams_) return compute(to);
    compute(reinterpret_cast<T*>(held_));
    streamCopy(to, held_, size * static_cast<int64_t>(sizeof(T)));
  }

 private:
  alignas(64) char held_[kMostBytes];
  T* out_;
  int64_t size_;
  bool streams_;
};

}  // namespace heddle
