// Ops indexAdd and scatterAdd: rows and elements added up where an index says. No atomics on floating-point numbers:
// terms are sorted by where they go, and each sum's are added in their order. Bound by memory: the terms are read once,
// out of order, and the sort moves 24 bytes per index and pass of eight bits.
#include <optional>

#include "axis_walk.h"
#include "device/index.h"
#include "kernels.h"
#include "launch.h"
#include "segment_sum.h"
#include "units.h"

namespace heddle::cuda {
namespace {

/// Up to this many indices that may meet in one sum, each looks at the others instead of being sorted.
constexpr int64_t kFew = 64;

/// `shared`: one line of indices serves all of them, as in indexAdd.
template <typename T, typename Offset>
__global__ void addFew(const Indices indices, const T* source, T* out, const __grid_constant__ AxisWalk<Offset> walk,
                       int64_t limit, int64_t stride, Offset length, Offset step, bool shared, Offset count,
                       Reporter reporter) {
  using C = Compute<T>;
  for (Offset i = blockIdx.x * static_cast<Offset>(blockDim.x) + threadIdx.x; i < count;
       i += gridDim.x * static_cast<Offset>(blockDim.x)) {
    Offset position;
    const Offset base = walk.base(i, position), hop = shared ? 1 : step, line = shared ? 0 : i - position * step;
    const int64_t index = indices[line + position * hop];
    if (!inRange(index, limit, shared ? position : i, reporter)) continue;
    // The first of equal indices adds up the terms of all.
    bool first = true;
#pragma unroll 1
    for (Offset j = 0; first && j < position; j++) first = indices[line + j * hop] != index;
    if (!first) continue;
    T& target = out[static_cast<int64_t>(base) + index * stride];
    C sum = widen(target);
#pragma unroll 1
    for (Offset j = position; j < length; j++)
      if (indices[line + j * hop] == index) sum = static_cast<C>(sum + widen(source[i + (j - position) * step]));
    target = narrow<T>(sum);
  }
}

__global__ void rowKeys(const Indices indices, uint32_t* keys, int64_t limit, uint32_t count, Reporter reporter) {
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    const int64_t index = indices[i];
    keys[i] = inRange(index, limit, i, reporter) ? static_cast<uint32_t>(index) : 0;
  }
}

__global__ void elementKeys(const Indices indices, uint32_t* keys, const __grid_constant__ AxisWalk<uint32_t> walk,
                            int64_t limit, int64_t stride, uint32_t count, Reporter reporter) {
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    const int64_t index = indices[i];
    uint32_t position;
    const uint32_t base = walk.base(i, position);
    keys[i] = inRange(index, limit, i, reporter) ? base + static_cast<uint32_t>(index * stride) : base;
  }
}

/// Adds the source's elements to what `out` holds where the few indices of each line say.
template <typename T>
void queueFew(const char* op, const AxisProblem& p, const Indices& indices, const T* source, T* out, bool shared,
              Reporter reporter) {
  dispatchOffset(p.wide, [&](auto width) {
    using Offset = typename decltype(width)::type;
    launch(op, addFew<T, Offset>, gridFor(p.count, 256), 256, 0, indices, source, out, p.walk<Offset>(), p.limit,
           p.stride, static_cast<Offset>(p.length), static_cast<Offset>(p.indexStride), shared,
           static_cast<Offset>(p.count), reporter);
  });
}

template <typename T>
class IndexAdd : public Kernel {
 public:
  /// As a scatterAdd of rows, whose index is the same in every column.
  IndexAdd(const RowsProblem& problem, DType index)
      : p_({{problem.rows, problem.width}, {problem.count, problem.width}, 0}), index_(indexType("indexAdd", index)) {
    if (p_.length > kFew && p_.size > 0) sums_.emplace("indexAdd", p_.length, problem.width, p_.limit);
  }

  size_t workspaceBytes() const override { return sums_ ? sums_->workspaceBytes() : 0; }

  void run(const RunOperands& operands) override {
    constexpr const char* op = "indexAdd";
    const Context& context = Context::current();
    const Reporter reporter = context.reporter(OpId::indexAdd);
    const Indices indices(operands.inputs[0], index_);
    const auto* dy = static_cast<const T*>(operands.inputs[1]);
    auto* out = static_cast<T*>(operands.outputs[0]);
    if (p_.size == 0) {
      launch(op, checkIndices, gridFor(p_.length, 256), 256, 0, indices, p_.limit, p_.length, reporter);
      return;
    }
    check(cudaMemsetAsync(out, 0, static_cast<size_t>(p_.size) * sizeof(T), context.stream), op);
    if (!sums_) return queueFew(op, p_, indices, dy, out, true, reporter);
    launch(op, rowKeys, gridFor(p_.length, 256), 256, 0, indices, sums_->keys(operands.workspace), p_.limit,
           static_cast<uint32_t>(p_.length), reporter);
    sums_->run(operands.workspace, dy, out);
  }

 private:
  const AxisProblem p_;
  const DType index_;
  std::optional<SegmentSum<T>> sums_;
};

template <typename T>
class ScatterAdd : public Kernel {
 public:
  ScatterAdd(const AxisProblem& problem, DType index) : p_(problem), index_(indexType("scatterAdd", index)) {
    if (p_.length > kFew && p_.count > 0 && p_.size > 0) sums_.emplace("scatterAdd", p_.count, 1, p_.size);
  }

  size_t workspaceBytes() const override { return sums_ ? sums_->workspaceBytes() : 0; }

  void run(const RunOperands& operands) override {
    constexpr const char* op = "scatterAdd";
    const Context& context = Context::current();
    const Reporter reporter = context.reporter(OpId::scatterAdd);
    const Indices indices(operands.inputs[1], index_);
    const auto* source = static_cast<const T*>(operands.inputs[2]);
    auto* out = static_cast<T*>(operands.outputs[0]);
    if (p_.size == 0) {
      launch(op, checkIndices, gridFor(p_.count, 256), 256, 0, indices, p_.limit, p_.count, reporter);
      return;
    }
    check(cudaMemcpyAsync(out, operands.inputs[0], static_cast<size_t>(p_.size) * sizeof(T), cudaMemcpyDeviceToDevice,
                          context.stream),
          op);
    if (!sums_) return queueFew(op, p_, indices, source, out, false, reporter);
    launch(op, elementKeys, gridFor(p_.count, 256), 256, 0, indices, sums_->keys(operands.workspace),
           p_.walk<uint32_t>(), p_.limit, p_.stride, static_cast<uint32_t>(p_.count), reporter);
    sums_->run(operands.workspace, source, out);
  }

 private:
  const AxisProblem p_;
  const DType index_;
  std::optional<SegmentSum<T>> sums_;
};

/// Calls `function(TypeTag<T>{})` with a type whose sums are those of the dtype. Bytes of either sign wrap to the same.
template <typename Function>
auto dispatchSum(const char* op, DType dtype, Function&& function) {
  switch (dtype) {
    case DType::i8:
    case DType::u8:
    case DType::bool_: return function(TypeTag<uint8_t>{});
    case DType::i32: return function(TypeTag<int32_t>{});
    case DType::i64: return function(TypeTag<int64_t>{});
    default: return dispatchFloat(op, dtype, std::forward<Function>(function));
  }
}

std::unique_ptr<Kernel> makeIndexAdd(WordReader& words, Specs in, Specs out) {
  const RowsProblem problem = readIndexAdd(IndexAddParams::read(words), in, out);
  return dispatchSum("indexAdd", in[1].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<IndexAdd<typename decltype(tag)::type>>(problem, in[0].dtype);
  });
}

std::unique_ptr<Kernel> makeScatterAdd(WordReader& words, Specs in, Specs out) {
  const AxisProblem problem(readScatterAdd(ScatterAddParams::read(words), in, out));
  return dispatchSum("scatterAdd", in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<ScatterAdd<typename decltype(tag)::type>>(problem, in[1].dtype);
  });
}

}  // namespace

void registerScatter(KernelTable& table) {
  table.add(OpId::indexAdd, makeIndexAdd);
  table.add(OpId::scatterAdd, makeScatterAdd);
}

}  // namespace heddle::cuda
