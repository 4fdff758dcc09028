// A piece of device memory: counted references, the jobs that still need it, and why its contents are missing.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

#include "error.h"

namespace heddle {

class Pool;

class Buffer {
 public:
  /// Made by Pool::allocate; gives its block back to the pool when the last reference goes.
  Buffer(std::shared_ptr<Pool> pool, void* data, size_t bytes, size_t blockBytes, std::string label)
      : data(data), bytes(bytes), blockBytes(blockBytes), label(std::move(label)), pool_(std::move(pool)) {}
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* const data;
  const size_t bytes;
  const size_t blockBytes;  // the size class the pool took it from
  const std::string label;

  /// No queued or running job uses the buffer. Only the thread that enqueues jobs on it may rely on the answer; what
  /// those jobs did is then visible to it.
  bool idle() const { return uses_.load(std::memory_order_acquire) == 0; }

  /// Jobs that read and that write it: what uses none that these write, and writes none that these use, need not wait
  /// for them.
  struct Users {
    int reading = 0, writing = 0;
  };
  /// In the device's normal queue, or begun from there; and those of high priority that have begun. Guarded by the
  /// executor.
  Users normal, high;

  /// Why the contents are missing. Touched by running jobs, and by the owning thread while the buffer is idle.
  FailurePointer failure;

 private:
  friend class BufferUse;
  friend class Pool;
  std::shared_ptr<Pool> pool_;
  size_t position_ = 0;  // in the pool's list of live buffers
  std::atomic<int> uses_{0};
};

using BufferPointer = std::shared_ptr<Buffer>;

/// Keeps a buffer alive and busy for as long as a job holds it.
class BufferUse {
 public:
  explicit BufferUse(BufferPointer buffer) : buffer_(std::move(buffer)) {
    buffer_->uses_.fetch_add(1, std::memory_order_relaxed);
  }
  BufferUse(BufferUse&& other) noexcept = default;
  BufferUse& operator=(BufferUse&&) = delete;
  ~BufferUse() {
    if (buffer_) buffer_->uses_.fetch_sub(1, std::memory_order_release);
  }

  Buffer* operator->() const { return buffer_.get(); }
  Buffer& operator*() const { return *buffer_; }

 private:
  BufferPointer buffer_;
};

}  // namespace heddle
