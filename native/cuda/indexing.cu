// Ops take and gather: rows and elements chosen by index. Bound by memory: every element of the result is written once
// and read once, an element alone costing its whole sector of 32 bytes.
#include "../core/check.h"
#include "axis_walk.h"
#include "device/index.h"
#include "device/items.h"
#include "kernels.h"
#include "launch.h"
#include "units.h"

namespace heddle::cuda {
namespace {

/// Rows of `units` each.
template <typename Unit, typename Index, typename Offset>
__global__ void takeRows(const Unit* x, const Index* indices, Unit* out, int64_t rows, Divider<Offset> units,
                         Offset count, Reporter reporter) {
  eachItem(
      count,
      [&](Offset item) {
        Offset row = item;
        const Offset column = split(row, units);
        const Index index = indices[row];
        if (!inRange(index, rows, row, reporter)) return Unit{};
        return x[static_cast<int64_t>(index) * units.divisor + column];
      },
      [&](Offset item, const Unit& unit) { out[item] = unit; });
}

template <typename Index>
class Take : public Kernel {
 public:
  Take(int64_t rows, int64_t count, int64_t rowBytes, int64_t bytes)
      : rows_(rows), count_(count), rowBytes_(rowBytes), bytes_(bytes) {}

  void run(const RunOperands& operands) override {
    const auto* indices = static_cast<const Index*>(operands.inputs[1]);
    const Reporter reporter = Context::current().reporter(OpId::take);
    if (rowBytes_ == 0) {
      launch("take", checkIndices<Index>, gridFor(count_, 256), 256, 0, indices, rows_, count_, reporter);
      return;
    }
    int64_t unit = 16;
    while (unit > bytes_ &&
           !(rowBytes_ % unit == 0 && alignedTo(operands.inputs[0], unit) && alignedTo(operands.outputs[0], unit)))
      unit /= 2;
    const int64_t units = rowBytes_ / unit, total = count_ * units;
    dispatchUnit(unit, [&](auto tag) {
      using Unit = typename decltype(tag)::type;
      dispatchOffset(std::max(total, units) > INT32_MAX, [&](auto width) {
        using Offset = typename decltype(width)::type;
        launch("take", takeRows<Unit, Index, Offset>, gridFor(total, 256 * kItemsAtOnce), 256, 0,
               static_cast<const Unit*>(operands.inputs[0]), indices, static_cast<Unit*>(operands.outputs[0]), rows_,
               Divider<Offset>(units), static_cast<Offset>(total), reporter);
      });
    });
  }

 private:
  const int64_t rows_, count_, rowBytes_, bytes_;
};

template <typename Unit, typename Index, typename Offset>
__global__ void gatherElements(const Unit* x, const Index* indices, Unit* out,
                               const __grid_constant__ AxisWalk<Offset> walk, int64_t limit, int64_t stride,
                               Offset count, Reporter reporter) {
  eachItem(
      count,
      [&](Offset item) {
        const Index index = indices[item];
        Offset position;
        const Offset base = walk.base(item, position);
        if (!inRange(index, limit, item, reporter)) return Unit{};
        return x[base + static_cast<int64_t>(index) * stride];
      },
      [&](Offset item, const Unit& unit) { out[item] = unit; });
}

template <typename Index>
class Gather : public Kernel {
 public:
  Gather(const AxisProblem& problem, int64_t bytes) : p_(problem), bytes_(bytes) {}

  void run(const RunOperands& operands) override {
    dispatchElement(bytes_, [&](auto tag) {
      using Unit = typename decltype(tag)::type;
      dispatchOffset(p_.wide, [&](auto width) {
        using Offset = typename decltype(width)::type;
        launch("gather", gatherElements<Unit, Index, Offset>, gridFor(p_.count, 256 * kItemsAtOnce), 256, 0,
               static_cast<const Unit*>(operands.inputs[0]), static_cast<const Index*>(operands.inputs[1]),
               static_cast<Unit*>(operands.outputs[0]), p_.walk<Offset>(), p_.limit, p_.stride,
               static_cast<Offset>(p_.count), Context::current().reporter(OpId::gather));
      });
    });
  }

 private:
  const AxisProblem p_;
  const int64_t bytes_;
};

std::unique_ptr<Kernel> makeTake(WordReader&, Specs in, Specs out) {
  constexpr const char* op = "take";
  expectCount(op, in, 2, out, 1);
  expectContiguous(op, in, out);
  expect(!in[0].shape.empty(), op, "an operand of rank 1 or more", in, out);
  std::vector<int64_t> shape = in[1].shape;
  shape.insert(shape.end(), in[0].shape.begin() + 1, in[0].shape.end());
  expect(out[0].shape == shape && out[0].dtype == in[0].dtype, op, "an output of shape " + formatList(shape), in, out);
  const int64_t bytes = bytesOf(in[0].dtype), row = product(std::span(in[0].shape).subspan(1)) * bytes;
  return dispatchIndex(op, in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
    return std::make_unique<Take<typename decltype(index)::type>>(in[0].shape[0], in[1].size(), row, bytes);
  });
}

std::unique_ptr<Kernel> makeGather(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "gather";
  const GatherParams params = GatherParams::read(words);
  expectCount(op, in, 2, out, 1);
  const AxisProblem problem(op, params.axis, in[0], in[1], in, out);
  expect(out[0].shape == in[1].shape && out[0].dtype == in[0].dtype, op, "an output of the index's shape", in, out);
  return dispatchIndex(op, in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
    return std::make_unique<Gather<typename decltype(index)::type>>(problem, bytesOf(in[0].dtype));
  });
}

}  // namespace

void registerIndexing(KernelTable& table) {
  table.add(OpId::take, makeTake);
  table.add(OpId::gather, makeGather);
}

}  // namespace heddle::cuda
