// Ops take and gather: rows and elements chosen by index. Bound by memory: every element of the result is written once
// and read once, an element alone costing its whole sector of 32 bytes.
#include "axis_walk.h"
#include "device/index.h"
#include "device/items.h"
#include "kernels.h"
#include "launch.h"
#include "units.h"

namespace heddle::cuda {
namespace {

/// Rows of `units` each.
template <typename Unit, typename Offset>
__global__ void takeRows(const Unit* x, const Indices indices, Unit* out, int64_t rows, Divider<Offset> units,
                         Offset count, Reporter reporter) {
  eachItem(
      count,
      [&](Offset item) {
        Offset row = item;
        const Offset column = split(row, units);
        const int64_t index = indices[row];
        if (!inRange(index, rows, row, reporter)) return Unit{};
        return x[index * static_cast<int64_t>(units.divisor) + column];
      },
      [&](Offset item, const Unit& unit) { out[item] = unit; });
}

class Take : public Kernel {
 public:
  Take(const RowsProblem& problem, int64_t bytes, DType index)
      : rows_(problem.rows),
        count_(problem.count),
        rowBytes_(problem.width * bytes),
        bytes_(bytes),
        index_(indexType("take", index)) {}

  void run(const RunOperands& operands) override {
    const Indices indices(operands.inputs[1], index_);
    const Reporter reporter = Context::current().reporter(OpId::take);
    if (rowBytes_ == 0) {
      launch("take", checkIndices, gridFor(count_, 256), 256, 0, indices, rows_, count_, reporter);
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
        launch("take", takeRows<Unit, Offset>, gridFor(total, 256 * kItemsAtOnce), 256, 0,
               static_cast<const Unit*>(operands.inputs[0]), indices, static_cast<Unit*>(operands.outputs[0]), rows_,
               Divider<Offset>(units), static_cast<Offset>(total), reporter);
      });
    });
  }

 private:
  const int64_t rows_, count_, rowBytes_, bytes_;
  const DType index_;
};

template <typename Unit, typename Offset>
__global__ void gatherElements(const Unit* x, const Indices indices, Unit* out,
                               const __grid_constant__ AxisWalk<Offset> walk, int64_t limit, int64_t stride,
                               Offset count, Reporter reporter) {
  eachItem(
      count,
      [&](Offset item) {
        const int64_t index = indices[item];
        Offset position;
        const Offset base = walk.base(item, position);
        if (!inRange(index, limit, item, reporter)) return Unit{};
        return x[static_cast<int64_t>(base) + index * stride];
      },
      [&](Offset item, const Unit& unit) { out[item] = unit; });
}

class Gather : public Kernel {
 public:
  Gather(const AxisProblem& problem, int64_t bytes, DType index)
      : p_(problem), bytes_(bytes), index_(indexType("gather", index)) {}

  void run(const RunOperands& operands) override {
    dispatchElement(bytes_, [&](auto tag) {
      using Unit = typename decltype(tag)::type;
      dispatchOffset(p_.wide, [&](auto width) {
        using Offset = typename decltype(width)::type;
        launch("gather", gatherElements<Unit, Offset>, gridFor(p_.count, 256 * kItemsAtOnce), 256, 0,
               static_cast<const Unit*>(operands.inputs[0]), Indices(operands.inputs[1], index_),
               static_cast<Unit*>(operands.outputs[0]), p_.walk<Offset>(), p_.limit, p_.stride,
               static_cast<Offset>(p_.count), Context::current().reporter(OpId::gather));
      });
    });
  }

 private:
  const AxisProblem p_;
  const int64_t bytes_;
  const DType index_;
};

std::unique_ptr<Kernel> makeTake(WordReader&, Specs in, Specs out) {
  return std::make_unique<Take>(readTake(in, out), bytesOf(in[0].dtype), in[1].dtype);
}

std::unique_ptr<Kernel> makeGather(WordReader& words, Specs in, Specs out) {
  const AxisProblem problem(readGather(GatherParams::read(words), in, out));
  return std::make_unique<Gather>(problem, bytesOf(in[0].dtype), in[1].dtype);
}

}  // namespace

void registerIndexing(KernelTable& table) {
  table.add(OpId::take, makeTake);
  table.add(OpId::gather, makeGather);
}

}  // namespace heddle::cuda
