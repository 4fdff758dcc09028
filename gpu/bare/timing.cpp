// Graphs, events and random data.
#include "timing.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace bare {

namespace {

uint16_t bitsOf(float value, Element element) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (element == Element::bf16) return static_cast<uint16_t>(bits >> 16);
  // f16 of a value below 2 in magnitude; what is smaller than its least normal number becomes 0.
  const int exponent = static_cast<int>(bits >> 23 & 0xff) - 127;
  if (exponent < -14) return 0;
  return static_cast<uint16_t>((bits >> 16 & 0x8000) | static_cast<uint32_t>(exponent + 15) << 10 |
                               (bits >> 13 & 0x3ff));
}

/// A graph of all copies.
class Replay {
 public:
  Replay(int copies, const std::function<void(int)>& work) {
    check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "capturing");
    for (int copy = 0; copy < copies; copy++) work(copy);
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream(), &graph), "capturing");
    const cudaError_t made = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check(made, "making a graph");
  }
  ~Replay() { cudaGraphExecDestroy(executable_); }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  double milliseconds(int runs, cudaEvent_t start, cudaEvent_t end) const {
    check(cudaEventRecord(start, stream()), "recording an event");
    for (int run = 0; run < runs; run++) check(cudaGraphLaunch(executable_, stream()), "launching a graph");
    check(cudaEventRecord(end, stream()), "recording an event");
    check(cudaEventSynchronize(end), "waiting");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, end), "reading a time");
    return milliseconds;
  }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace

Memory::Memory(size_t bytes) { check(cudaMalloc(&data_, std::max(bytes, size_t{256})), "reserving memory"); }

Memory Memory::random(Element element, size_t count) {
  // A block of draws, again and again: no cache holds the whole, and drawing on the host takes long.
  constexpr size_t kBlock = size_t{1} << 22;
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<char> block(std::min(kBlock, count) * bytesOf(element));
  for (size_t i = 0; i < block.size() / bytesOf(element); i++) {
    const float value = uniform(generator);
    const uint16_t half = bitsOf(value, element);
    if (element == Element::f32)
      std::memcpy(&block[i * 4], &value, 4);
    else
      std::memcpy(&block[i * 2], &half, 2);
  }
  Memory memory(count * bytesOf(element));
  for (size_t offset = 0; offset < count * bytesOf(element); offset += block.size())
    check(cudaMemcpy(static_cast<char*>(memory.data()) + offset, block.data(),
                     std::min(block.size(), count * bytesOf(element) - offset), cudaMemcpyHostToDevice),
          "copying to the device");
  return memory;
}

cudaStream_t stream() {
  static cudaStream_t made = [] {
    cudaStream_t stream;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
    return stream;
  }();
  return made;
}

Timing measure(int copies, const std::function<void(int)>& work, double sampleMs, int samples) {
  // Before capture: whatever is made lazily is made now.
  for (int copy = 0; copy < copies; copy++) work(copy);
  check(cudaStreamSynchronize(stream()), "running it once");
  const Replay replay(copies, work);
  cudaEvent_t start, end;
  check(cudaEventCreate(&start), "making an event");
  check(cudaEventCreate(&end), "making an event");
  replay.milliseconds(3, start, end);
  const double once = replay.milliseconds(1, start, end);
  const int runs = std::max(1, static_cast<int>(sampleMs / std::max(once, 1e-3)) + 1);
  std::vector<double> times;
  for (int sample = 0; sample < samples; sample++)
    times.push_back(replay.milliseconds(runs, start, end) / runs / copies);
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), times.back(), runs, samples};
}

}  // namespace bare
