// Ops concat and pad.
#include <algorithm>

#include "../core/concat_pad_problem.h"
#include "kernels.h"
#include "strided_copy.h"

namespace heddle {
namespace {

class Concat : public Kernel {
 public:
  Concat(Specs inputs, const TensorSpec& output, size_t axis) {
    int64_t first = 0;
    for (const TensorSpec& input : inputs) {
      copies_.emplace_back(input.shape, input.strides, output.strides, bytesOf(output.dtype));
      offsets_.push_back(first * output.strides[axis] * bytesOf(output.dtype));
      first += input.shape[axis];
    }
  }

  void run(const RunOperands& operands) override {
    for (size_t i = 0; i < copies_.size(); i++)
      copies_[i].run(operands.inputs[i], static_cast<char*>(operands.outputs[0]) + offsets_[i]);
  }

 private:
  std::vector<StridedCopy> copies_;
  std::vector<int64_t> offsets_;
};

template <typename T>
class Pad : public Kernel {
 public:
  Pad(const TensorSpec& input, const TensorSpec& output, const std::vector<int64_t>& low, double value)
      : copy_(input.shape, input.strides, output.strides, static_cast<int64_t>(sizeof(T))),
        size_(output.size()),
        value_(store<T>(static_cast<Compute<T>>(value))) {
    for (size_t axis = 0; axis < low.size(); axis++) offset_ += low[axis] * output.strides[axis];
  }

  void run(const RunOperands& operands) override {
    auto* out = static_cast<T*>(operands.outputs[0]);
#pragma omp parallel for simd schedule(static) if (parallel : size_ > 32768)
    for (int64_t i = 0; i < size_; i++) out[i] = value_;
    copy_.run(operands.inputs[0], out + offset_);
  }

 private:
  StridedCopy copy_;
  int64_t size_;
  int64_t offset_ = 0;
  T value_;
};

std::unique_ptr<Kernel> makeConcat(WordReader& words, Specs in, Specs out) {
  return std::make_unique<Concat>(in, out[0], readConcat(ConcatParams::read(words), in, out));
}

std::unique_ptr<Kernel> makePad(WordReader& words, Specs in, Specs out) {
  const PadParams params = PadParams::read(words);
  checkPad(params, in, out);
  return dispatchAny("pad", in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<Pad<typename decltype(tag)::type>>(in[0], out[0], params.low, params.value);
  });
}

}  // namespace

void registerConcatPad(KernelTable& table) {
  table.add(OpId::concat, makeConcat);
  table.add(OpId::pad, makePad);
}

}  // namespace heddle
