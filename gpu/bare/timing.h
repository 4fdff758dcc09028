// Time of work on the GPU: several copies of it as one CUDA graph, replayed between events, the median of five samples.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace bare {

inline void check(cudaError_t result, const char* what) {
  if (result != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(result));
}

enum class Element { f32, bf16, f16 };

inline Element elementOf(const std::string& name) {
  if (name == "f32") return Element::f32;
  if (name == "bf16") return Element::bf16;
  if (name == "f16") return Element::f16;
  throw std::runtime_error("there is no element type " + name);
}

inline size_t bytesOf(Element element) { return element == Element::f32 ? 4 : 2; }

/// Device memory that lives as long as this.
class Memory {
 public:
  explicit Memory(size_t bytes);
  /// Elements uniform in [-1, 1): kernels may take another time on zeros.
  static Memory random(Element element, size_t count);
  ~Memory() { cudaFree(data_); }
  Memory(Memory&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

struct Timing {
  double ms, leastMs, mostMs;  // of one copy
  int runs, samples;           // replays of a sample
};

/// The stream that all work is queued on.
cudaStream_t stream();

/// Times `copies` calls of `work`, each given its number, which only queues work on `stream()`.
Timing measure(int copies, const std::function<void(int)>& work, double sampleMs = 200, int samples = 5);

}  // namespace bare
