// Ops concat and pad. Bound by memory: each element of the result is written once, and each operand's read once.
#include <cstring>

#include "../core/check.h"
#include "device/divide.h"
#include "device/items.h"
#include "kernels.h"
#include "launch.h"
#include "strided_copy.h"
#include "units.h"

namespace heddle::cuda {
namespace {

/// Operands of equal shape and strides are copied by one launch.
class Concat : public Kernel {
 public:
  Concat(Specs inputs, const TensorSpec& output, size_t axis) : bytes_(bytesOf(output.dtype)) {
    int64_t first = 0;
    for (size_t i = 0; i < inputs.size(); i++) {
      const TensorSpec& input = inputs[i];
      if (i > 0 && input.shape == inputs[i - 1].shape && input.strides == inputs[i - 1].strides) {
        parts_.back().count++;
      } else {
        parts_.push_back({StridedCopy(input.shape, input.strides, output.strides, bytes_), 1,
                          first * output.strides[axis], input.shape[axis] * output.strides[axis]});
      }
      first += input.shape[axis];
    }
  }

  void run(const RunOperands& operands) override {
    size_t first = 0;
    for (const Part& part : parts_) {
      part.copy.run("concat", operands.inputs.subspan(first, part.count),
                    static_cast<char*>(operands.outputs[0]) + part.offset * bytes_, part.step);
      first += part.count;
    }
  }

 private:
  struct Part {
    StridedCopy copy;
    size_t count;
    int64_t offset, step;  // in elements of the output
  };
  const int64_t bytes_;
  std::vector<Part> parts_;
};

constexpr int kMostAxes = 16;  // a plan's tensors have no more

/// One axis of a padded tensor.
struct PaddedAxis {
  int64_t extent, low, inside, stride;  // of the output; before the input; of the input
};

template <typename Offset>
struct PaddedWalk {
  int rank;
  Divider<Offset> extents[kMostAxes];
  Offset low[kMostAxes], inside[kMostAxes];
  int64_t strides[kMostAxes];
};

template <typename Unit, typename Offset>
__global__ void padUnits(const Unit* x, Unit* out, const __grid_constant__ PaddedWalk<Offset> walk, Unit value,
                         Offset count) {
  eachItem(
      count,
      [&](Offset item) {
        int64_t source = 0;
        bool inside = true;
        for (int axis = walk.rank - 1; axis >= 0; axis--) {
          // Before the input the difference wraps round to a number above every extent.
          const Offset at = split(item, walk.extents[axis]) - walk.low[axis];
          inside = inside && at < walk.inside[axis];
          source += static_cast<int64_t>(at) * walk.strides[axis];
        }
        return inside ? x[source] : value;
      },
      [&](Offset item, const Unit& unit) { out[item] = unit; });
}

class Pad : public Kernel {
 public:
  Pad(const TensorSpec& input, const TensorSpec& output, const std::vector<int64_t>& low, uint64_t value)
      : bytes_(bytesOf(output.dtype)), count_(output.size()), value_(value) {
    for (size_t i = 0; i < low.size(); i++) {
      const PaddedAxis axis{output.shape[i], low[i], input.shape[i], input.strides[i]};
      if (axis.extent == 1 && axis.inside == 1) continue;
      // An axis that nothing is added to runs on in the one around it.
      if (!axes_.empty() && axis.extent == axis.inside && axes_.back().stride == axis.stride * axis.extent) {
        const PaddedAxis& around = axes_.back();
        axes_.back() = {around.extent * axis.extent, around.low * axis.extent, around.inside * axis.extent,
                        axis.stride};
      } else {
        axes_.push_back(axis);
      }
    }
  }

  void run(const RunOperands& operands) override {
    if (count_ == 0) return;
    const int64_t unit = unitFor(operands), elements = unit / bytes_, count = count_ / elements;
    dispatchUnit(unit, [&](auto tag) {
      using Unit = typename decltype(tag)::type;
      dispatchOffset(count > INT32_MAX, [&](auto width) {
        using Offset = typename decltype(width)::type;
        PaddedWalk<Offset> walk{};
        walk.rank = static_cast<int>(axes_.size());
        for (size_t i = 0; i < axes_.size(); i++) {
          const PaddedAxis& axis = axes_[i];
          const bool last = i + 1 == axes_.size();
          walk.extents[i] = Divider<Offset>(last ? axis.extent / elements : axis.extent);
          walk.low[i] = static_cast<Offset>(last ? axis.low / elements : axis.low);
          walk.inside[i] = static_cast<Offset>(last ? axis.inside / elements : axis.inside);
          walk.strides[i] = last ? axis.stride : axis.stride / elements;
        }
        Unit value;
        for (int64_t at = 0; at < unit; at += bytes_)
          std::memcpy(reinterpret_cast<char*>(&value) + at, &value_, static_cast<size_t>(bytes_));
        launch("pad", padUnits<Unit, Offset>, gridFor(count, 256 * kItemsAtOnce), 256, 0,
               static_cast<const Unit*>(operands.inputs[0]), static_cast<Unit*>(operands.outputs[0]), walk, value,
               static_cast<Offset>(count));
      });
    });
  }

 private:
  int64_t unitFor(const RunOperands& operands) const {
    if (axes_.empty() || axes_.back().stride != 1) return bytes_;
    for (int64_t unit = 16; unit > bytes_; unit /= 2) {
      const int64_t elements = unit / bytes_;
      const PaddedAxis& last = axes_.back();
      bool fits = alignedTo(operands.inputs[0], unit) && alignedTo(operands.outputs[0], unit) &&
                  last.extent % elements == 0 && last.low % elements == 0 && last.inside % elements == 0;
      for (size_t i = 0; i + 1 < axes_.size(); i++) fits = fits && axes_[i].stride % elements == 0;
      if (fits) return unit;
    }
    return bytes_;
  }

  const int64_t bytes_, count_;
  const uint64_t value_;  // its first bytes are the element
  std::vector<PaddedAxis> axes_;
};

std::unique_ptr<Kernel> makeConcat(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "concat";
  const ConcatParams params = ConcatParams::read(words);
  expectCount(op, in, in.size(), out, 1);
  const TensorSpec& result = out[0];
  expect(result.contiguous() && params.axis >= 0 && params.axis < static_cast<int64_t>(result.shape.size()), op,
         "a contiguous output and an axis of it", in, out);
  const auto axis = static_cast<size_t>(params.axis);
  int64_t total = 0;
  for (const TensorSpec& input : in) {
    expect(input.shape.size() == result.shape.size() && input.dtype == result.dtype, op,
           "inputs of the output's rank and dtype", in, out);
    for (size_t i = 0; i < result.shape.size(); i++)
      expect(i == axis || input.shape[i] == result.shape[i], op, "equal extents in the other axes", in, out);
    total += input.shape[axis];
  }
  expect(total == result.shape[axis], op, "extents that add up along the axis", in, out);
  return std::make_unique<Concat>(in, result, axis);
}

std::unique_ptr<Kernel> makePad(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "pad";
  const PadParams params = PadParams::read(words);
  expectCount(op, in, 1, out, 1);
  const size_t rank = in[0].shape.size();
  expect(params.low.size() == rank && params.high.size() == rank && out[0].shape.size() == rank &&
             out[0].dtype == in[0].dtype && out[0].contiguous(),
         op, "low and high for each axis and a contiguous output", in, out);
  for (size_t i = 0; i < rank; i++)
    expect(
        params.low[i] >= 0 && params.high[i] >= 0 && out[0].shape[i] == in[0].shape[i] + params.low[i] + params.high[i],
        op, "extents of low + input + high with neither negative", in, out);
  return dispatchAny(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    const T value = store<T>(static_cast<Compute<T>>(params.value));
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return std::make_unique<Pad>(in[0], out[0], params.low, bits);
  });
}

}  // namespace

void registerConcatPad(KernelTable& table) {
  table.add(OpId::concat, makeConcat);
  table.add(OpId::pad, makePad);
}

}  // namespace heddle::cuda
