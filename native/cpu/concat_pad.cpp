// Ops concat and pad.
#include <algorithm>
#include <cstring>

#include "../core/concat_pad_problem.h"
#include "kernels.h"
#include "stream.h"
#include "strided_copy.h"

namespace heddle {
namespace {

class Concat : public Kernel {
 public:
  Concat(Specs inputs, const TensorSpec& output, size_t axis) {
    const int64_t bytes = bytesOf(output.dtype);
    int64_t first = 0;
    for (const TensorSpec& input : inputs) {
      copies_.emplace_back(input.shape, input.strides, output.strides, bytes, output.size() * bytes);
      offsets_.push_back(first * output.strides[axis] * bytes);
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

/// Dense pieces of which every row of the output has a few bytes. They are put side by side in blocks of rows that stay
/// in the cache until each piece is in them.
class Interleave : public Kernel {
 public:
  static constexpr int64_t kNarrow = 1024;

  /// Whether it is for these.
  static bool suits(Specs inputs, const TensorSpec& output, size_t axis) {
    const int64_t rows = rowsOf(output, axis);
    return rows > 1 && output.contiguous() && output.size() / rows * bytesOf(output.dtype) <= kNarrow &&
           std::all_of(inputs.begin(), inputs.end(), [](const TensorSpec& input) { return input.contiguous(); });
  }

  Interleave(Specs inputs, const TensorSpec& output, size_t axis) : rows_(rowsOf(output, axis)) {
    for (const TensorSpec& input : inputs) {
      widths_.push_back(input.size() / rows_ * bytesOf(input.dtype));
      rowBytes_ += widths_.back();
    }
  }

  void run(const RunOperands& operands) override {
    constexpr int64_t blockBytes = 16384;
    const int64_t block = blockBytes / rowBytes_;
    const bool streams = rows_ * rowBytes_ >= kBeyondCaches;
#pragma omp parallel if (rows_ * rowBytes_ > 131072)
    {
      RowWriter<char> writer(static_cast<char*>(operands.outputs[0]), rowBytes_ * block, streams);
#pragma omp for schedule(static) nowait
      for (int64_t first = 0; first < rows_; first += block) {
        const int64_t rows = std::min(block, rows_ - first);
        writer.write(first / block, rows * rowBytes_, [&](char* to) {
          for (size_t i = 0; i < widths_.size(); to += widths_[i++])
            copyRows(static_cast<const char*>(operands.inputs[i]) + first * widths_[i], widths_[i], rows, to);
        });
      }
    }
  }

 private:
  static int64_t rowsOf(const TensorSpec& output, size_t axis) {
    int64_t rows = output.size() > 0 ? 1 : 0;
    for (size_t i = 0; i < axis; i++) rows *= output.shape[i];
    return rows;
  }

  void copyRows(const char* from, int64_t width, int64_t rows, char* to) const {
    switch (width) {
      case 1: return copyEach<1>(from, rows, to);
      case 2: return copyEach<2>(from, rows, to);
      case 4: return copyEach<4>(from, rows, to);
      case 8: return copyEach<8>(from, rows, to);
      case 16: return copyEach<16>(from, rows, to);
      default:
        for (int64_t row = 0; row < rows; row++)
          std::memcpy(to + row * rowBytes_, from + row * width, static_cast<size_t>(width));
    }
  }

  template <size_t kWidth>
  void copyEach(const char* from, int64_t rows, char* to) const {
    const int64_t step = rowBytes_;
    for (int64_t row = 0; row < rows; row++) std::memcpy(to + row * step, from + row * int64_t{kWidth}, kWidth);
  }

  int64_t rows_, rowBytes_ = 0;
  std::vector<int64_t> widths_;
};

/// Row by row of the output, so that each element is written once.
template <typename T>
class Pad : public Kernel {
 public:
  Pad(const TensorSpec& input, const TensorSpec& output, const std::vector<int64_t>& low, double value)
      : input_(input), low_(low), value_(store<T>(static_cast<Compute<T>>(value))) {
    for (size_t axis = 0; axis < low.size(); axis++) outer_.push_back(output.shape[axis]);
    if (outer_.empty()) return;
    columns_ = outer_.back();
    before_ = low.back();
    taken_ = input.shape.back();
    step_ = input.strides.back();
    outer_.pop_back();
    for (const int64_t extent : outer_) rows_ *= extent;
  }

  void run(const RunOperands& operands) override {
    const auto* in = static_cast<const T*>(operands.inputs[0]);
    auto* out = static_cast<T*>(operands.outputs[0]);
    const bool streams = RowWriter<T>::streams(rows_, columns_, false);
#pragma omp parallel if (rows_ * columns_ > 32768)
    {
      RowWriter<T> writer(out, columns_, streams);
#pragma omp for schedule(static) nowait
      for (int64_t row = 0; row < rows_; row++) writer.write(row, [&](T* to) { padRow(in, row, to); });
    }
  }

 private:
  void padRow(const T* from, int64_t row, T* to) const {
    int64_t rest = row;
    for (size_t axis = outer_.size(); axis-- > 0;) {
      const int64_t position = rest % outer_[axis] - low_[axis];
      rest /= outer_[axis];
      if (position < 0 || position >= input_.shape[axis]) {
        std::fill_n(to, columns_, value_);
        return;
      }
      from += position * input_.strides[axis];
    }
    std::fill_n(to, before_, value_);
    if (step_ == 1)
      std::copy_n(from, taken_, to + before_);
    else
      for (int64_t i = 0; i < taken_; i++) to[before_ + i] = from[i * step_];
    std::fill_n(to + before_ + taken_, columns_ - before_ - taken_, value_);
  }

  TensorSpec input_;
  std::vector<int64_t> low_, outer_;
  T value_;
  // Of each row of the output: its elements, those before the input's, and those of the input, which lie `step_` apart.
  int64_t rows_ = 1, columns_ = 1, before_ = 0, taken_ = 1, step_ = 1;
};

std::unique_ptr<Kernel> makeConcat(WordReader& words, Specs in, Specs out) {
  const size_t axis = readConcat(ConcatParams::read(words), in, out);
  if (Interleave::suits(in, out[0], axis)) return std::make_unique<Interleave>(in, out[0], axis);
  return std::make_unique<Concat>(in, out[0], axis);
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
