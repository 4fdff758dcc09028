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
template <typename T, typename Index, typename Offset>
__global__ void addFew(const Index* indices, const T* source, T* out, const __grid_constant__ AxisWalk<Offset> walk,
                       int64_t limit, int64_t stride, Offset length, Offset step, bool shared, Offset count,
                       Reporter reporter) {
  using C = Compute<T>;
  for (Offset i = blockIdx.x * static_cast<Offset>(blockDim.x) + threadIdx.x; i < count;
       i += gridDim.x * static_cast<Offset>(blockDim.x)) {
    Offset position;
    const Offset base = walk.base(i, position), hop = shared ? 1 : step;
    const Index* line = indices + (shared ? 0 : i - position * step);
    const Index index = line[position * hop];
    if (!inRange(index, limit, shared ? position : i, reporter)) continue;
    // The first of equal indices adds up the terms of all.
    bool first = true;
    for (Offset j = 0; first && j < position; j++) first = line[j * hop] != index;
    if (!first) continue;
    T& target = out[base + static_cast<int64_t>(index) * stride];
    C sum = widen(target);
    for (Offset j = position; j < length; j++)
      if (line[j * hop] == index) sum = static_cast<C>(sum + widen(source[i + (j - position) * step]));
    target = narrow<T>(sum);
  }
}

template <typename Index>
__global__ void rowKeys(const Index* indices, uint32_t* keys, int64_t limit, uint32_t count, Reporter reporter) {
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    const Index index = indices[i];
    keys[i] = inRange(index, limit, i, reporter) ? static_cast<uint32_t>(index) : 0;
  }
}

template <typename Index>
__global__ void elementKeys(const Index* indices, uint32_t* keys, const __grid_constant__ AxisWalk<uint32_t> walk,
                            int64_t limit, int64_t stride, uint32_t count, Reporter reporter) {
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    const Index index = indices[i];
    uint32_t position;
    const uint32_t base = walk.base(i, position);
    keys[i] = inRange(index, limit, i, reporter) ? base + static_cast<uint32_t>(index * stride) : base;
  }
}

/// Adds the source's elements to what `out` holds where the few indices of each line say.
template <typename T, typename Index>
void queueFew(const char* op, const AxisProblem& p, const Index* indices, const T* source, T* out, bool shared,
              Reporter reporter) {
  dispatchOffset(p.wide, [&](auto width) {
    using Offset = typename decltype(width)::type;
    launch(op, addFew<T, Index, Offset>, gridFor(p.count, 256), 256, 0, indices, source, out, p.walk<Offset>(), p.limit,
           p.stride, static_cast<Offset>(p.length), static_cast<Offset>(p.indexStride), shared,
           static_cast<Offset>(p.count), reporter);
  });
}

template <typename T, typename Index>
class IndexAdd : public Kernel {
 public:
  /// `problem` is the op as a scatterAdd of whole rows into [size, width].
  IndexAdd(const AxisProblem& problem, int64_t width) : p_(problem), width_(width) {
    if (p_.length > kFew && p_.size > 0) sums_.emplace("indexAdd", p_.length, width_, p_.limit);
  }

  size_t workspaceBytes() const override { return sums_ ? sums_->workspaceBytes() : 0; }

  void run(const RunOperands& operands) override {
    constexpr const char* op = "indexAdd";
    const Context& context = Context::current();
    const Reporter reporter = context.reporter(OpId::indexAdd);
    const auto* indices = static_cast<const Index*>(operands.inputs[0]);
    const auto* dy = static_cast<const T*>(operands.inputs[1]);
    auto* out = static_cast<T*>(operands.outputs[0]);
    if (p_.size == 0) {
      launch(op, checkIndices<Index>, gridFor(p_.length, 256), 256, 0, indices, p_.limit, p_.length, reporter);
      return;
    }
    check(cudaMemsetAsync(out, 0, static_cast<size_t>(p_.size) * sizeof(T), context.stream), op);
    if (!sums_) return queueFew(op, p_, indices, dy, out, true, reporter);
    launch(op, rowKeys<Index>, gridFor(p_.length, 256), 256, 0, indices, sums_->keys(operands.workspace), p_.limit,
           static_cast<uint32_t>(p_.length), reporter);
    sums_->run(operands.workspace, dy, out);
  }

 private:
  const AxisProblem p_;
  const int64_t width_;
  std::optional<SegmentSum<T>> sums_;
};

template <typename T, typename Index>
class ScatterAdd : public Kernel {
 public:
  explicit ScatterAdd(const AxisProblem& problem) : p_(problem) {
    if (p_.length > kFew && p_.count > 0 && p_.size > 0) sums_.emplace("scatterAdd", p_.count, 1, p_.size);
  }

  size_t workspaceBytes() const override { return sums_ ? sums_->workspaceBytes() : 0; }

  void run(const RunOperands& operands) override {
    constexpr const char* op = "scatterAdd";
    const Context& context = Context::current();
    const Reporter reporter = context.reporter(OpId::scatterAdd);
    const auto* indices = static_cast<const Index*>(operands.inputs[1]);
    const auto* source = static_cast<const T*>(operands.inputs[2]);
    auto* out = static_cast<T*>(operands.outputs[0]);
    if (p_.size == 0) {
      launch(op, checkIndices<Index>, gridFor(p_.count, 256), 256, 0, indices, p_.limit, p_.count, reporter);
      return;
    }
    check(cudaMemcpyAsync(out, operands.inputs[0], static_cast<size_t>(p_.size) * sizeof(T), cudaMemcpyDeviceToDevice,
                          context.stream),
          op);
    if (!sums_) return queueFew(op, p_, indices, source, out, false, reporter);
    launch(op, elementKeys<Index>, gridFor(p_.count, 256), 256, 0, indices, sums_->keys(operands.workspace),
           p_.walk<uint32_t>(), p_.limit, p_.stride, static_cast<uint32_t>(p_.count), reporter);
    sums_->run(operands.workspace, source, out);
  }

 private:
  const AxisProblem p_;
  std::optional<SegmentSum<T>> sums_;
};

TensorSpec rowMajor(DType dtype, int64_t rows, int64_t columns) { return {dtype, {rows, columns}, {columns, 1}}; }

std::unique_ptr<Kernel> makeIndexAdd(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "indexAdd";
  const IndexAddParams params = IndexAddParams::read(words);
  expectCount(op, in, 2, out, 1);
  const size_t lead = in[0].shape.size();
  expect(in[1].shape.size() >= lead && std::equal(in[0].shape.begin(), in[0].shape.end(), in[1].shape.begin()), op,
         "values whose leading axes are those of the indices", in, out);
  std::vector<int64_t> shape{params.size};
  shape.insert(shape.end(), in[1].shape.begin() + static_cast<std::ptrdiff_t>(lead), in[1].shape.end());
  expect(params.size >= 0 && out[0].shape == shape && out[0].dtype == in[1].dtype, op,
         "an output of shape " + formatList(shape), in, out);
  const int64_t width = product(std::span(shape).subspan(1));
  const AxisProblem problem(op, 0, rowMajor(out[0].dtype, params.size, width),
                            rowMajor(out[0].dtype, in[0].size(), width), in, out);
  return dispatchAny(op, in[1].dtype, [&](auto tag) {
    return dispatchIndex(op, in[0].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<IndexAdd<typename decltype(tag)::type, typename decltype(index)::type>>(problem, width);
    });
  });
}

std::unique_ptr<Kernel> makeScatterAdd(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "scatterAdd";
  const ScatterAddParams params = ScatterAddParams::read(words);
  expectCount(op, in, 3, out, 1);
  const AxisProblem problem(op, params.axis, in[0], in[1], in, out);
  expect(in[2].shape == in[1].shape && in[2].dtype == in[0].dtype && out[0].shape == in[0].shape &&
             out[0].dtype == in[0].dtype,
         op, "a source of the index's shape and an output like the operand", in, out);
  return dispatchAny(op, in[0].dtype, [&](auto tag) {
    return dispatchIndex(op, in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<ScatterAdd<typename decltype(tag)::type, typename decltype(index)::type>>(problem);
    });
  });
}

}  // namespace

void registerScatter(KernelTable& table) {
  table.add(OpId::indexAdd, makeIndexAdd);
  table.add(OpId::scatterAdd, makeScatterAdd);
}

}  // namespace heddle::cuda
