// Ops multiplyAdd, streamingCopy and streamingRead: what benchmarks hold kernels against.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "../core/element.h"

#include "kernels.h"
#include "levels.h"
#include "stream.h"

#define HEDDLE_LOOPS "machine_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

constexpr int64_t kMultiplyAddElements =
    192;  // MULTIPLY_ADD_ELEMENTS: as many vectors of every width as there are chains

int64_t sizeOf(const char* op, Specs in, Specs out) {
  if (in.size() != 1 || out.size() != 1 || in[0].dtype != out[0].dtype || in[0].size() != out[0].size() ||
      !in[0].contiguous() || !out[0].contiguous())
    throw Error(ErrorCode::invalidPlan, std::string(op) + ": it takes one contiguous operand and gives one like it");
  return in[0].size();
}

template <typename T>
class MultiplyAdd : public Kernel {
 public:
  using Block = void (*)(T*, int64_t, int64_t, T, T);
  MultiplyAdd(Block block, int64_t size, int64_t repeats, T factor, T term)
      : block_(block), size_(size), repeats_(repeats), factor_(factor), term_(term) {}

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* y = static_cast<T*>(operands.outputs[0]);
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < size_; first += kMultiplyAddElements) {
      std::copy_n(x + first, kMultiplyAddElements, y + first);
      block_(y + first, kMultiplyAddElements, repeats_, factor_, term_);
    }
  }

 private:
  Block block_;
  int64_t size_, repeats_;
  T factor_, term_;
};

class StreamingCopy : public Kernel {
 public:
  explicit StreamingCopy(int64_t bytes) : bytes_(bytes) {}

  void run(const RunOperands& operands) override {
    const auto* from = static_cast<const char*>(operands.inputs[0]);
    auto* to = static_cast<char*>(operands.outputs[0]);
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < bytes_; first += kBlock) {
      streamCopy(to + first, from + first, std::min(kBlock, bytes_ - first));
      endStreams();
    }
  }

 private:
  static constexpr int64_t kBlock = int64_t{1} << 20;
  int64_t bytes_;
};

class StreamingRead : public Kernel {
 public:
  explicit StreamingRead(int64_t words) : words_(words) {}

  void run(const RunOperands& operands) override {
    const auto* words = static_cast<const uint32_t*>(operands.inputs[0]);
    uint32_t all = 0;
#pragma omp parallel for schedule(static) reduction(^ : all)
    for (int64_t first = 0; first < words_; first += kBlock)
      all ^= HEDDLE_DISPATCH(readWords)(words + first, std::min(kBlock, words_ - first));
    *static_cast<uint32_t*>(operands.outputs[0]) = all;
  }

 private:
  static constexpr int64_t kBlock = int64_t{1} << 18;
  int64_t words_;
};

template <typename T>
std::unique_ptr<Kernel> multiplyAddOf(int64_t size, int64_t repeats, T factor, T term) {
  return std::make_unique<MultiplyAdd<T>>(HEDDLE_DISPATCH(multiplyAddBlock<T>), size, repeats, factor, term);
}

std::unique_ptr<Kernel> makeMultiplyAdd(WordReader& words, Specs in, Specs out) {
  const MultiplyAddParams params = MultiplyAddParams::read(words);
  const int64_t size = sizeOf("multiplyAdd", in, out);
  if (size % kMultiplyAddElements != 0 || params.repeats < 0)
    throw Error(ErrorCode::invalidPlan, "multiplyAdd: it takes whole groups of elements and repeats from 0 up");
  switch (in[0].dtype) {
    case DType::f32: return multiplyAddOf<float>(size, params.repeats, 0.75f, 0.25f);
    case DType::f64: return multiplyAddOf<double>(size, params.repeats, 0.75, 0.25);
    // Unsigned arithmetic wraps and has the same bits.
    case DType::i32: return multiplyAddOf<uint32_t>(size, params.repeats, 3, 1);
    default: throw Error(ErrorCode::unsupported, "multiplyAdd: it takes f32, f64 and i32");
  }
}

std::unique_ptr<Kernel> makeStreamingCopy(WordReader&, Specs in, Specs out) {
  return std::make_unique<StreamingCopy>(sizeOf("streamingCopy", in, out) * bytesOf(in[0].dtype));
}

std::unique_ptr<Kernel> makeStreamingRead(WordReader&, Specs in, Specs out) {
  if (in.size() != 1 || out.size() != 1 || bytesOf(in[0].dtype) != 4 || !in[0].contiguous() ||
      out[0].dtype != DType::i32 || out[0].size() != 1)
    throw Error(ErrorCode::invalidPlan, "streamingRead: it takes one contiguous operand of 32-bit words and gives one");
  return std::make_unique<StreamingRead>(in[0].size());
}

}  // namespace

void registerMachine(KernelTable& table) {
  table.add(OpId::multiplyAdd, makeMultiplyAdd);
  table.add(OpId::streamingCopy, makeStreamingCopy);
  table.add(OpId::streamingRead, makeStreamingRead);
}

}  // namespace heddle
