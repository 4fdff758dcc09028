// Ops take, indexAdd, gather and scatterAdd: rows and elements chosen by index. Every index is checked before anything
// is read or written with it, and sums run in the order of the indices, so results are bit-for-bit repeatable.
#include <algorithm>
#include <cstring>

#include "../core/check.h"
#include "kernels.h"

namespace heddle {
namespace {

constexpr int64_t kParallelElements = 16384;

template <typename Index>
void checkIndices(const char* op, const Index* indices, int64_t count, int64_t size) {
  for (int64_t i = 0; i < count; i++) {
    const int64_t value = static_cast<int64_t>(indices[i]);
    if (value >= 0 && value < size) continue;
    throw Error(ErrorCode::invalidArgument, std::string(op) + ": index " + std::to_string(value) + " at position " +
                                                std::to_string(i) + " is out of range; it must be in [0, " +
                                                std::to_string(size) + ")");
  }
}

template <typename Index>
class Take : public Kernel {
 public:
  Take(int64_t size, int64_t count, int64_t rowBytes) : size_(size), count_(count), rowBytes_(rowBytes) {}

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const char*>(operands.inputs[0]);
    const auto* indices = static_cast<const Index*>(operands.inputs[1]);
    auto* out = static_cast<char*>(operands.outputs[0]);
    checkIndices("take", indices, count_, size_);
#pragma omp parallel for schedule(static) if (count_ * rowBytes_ > 4 * kParallelElements)
    for (int64_t i = 0; i < count_; i++)
      std::memcpy(out + i * rowBytes_, x + static_cast<int64_t>(indices[i]) * rowBytes_,
                  static_cast<size_t>(rowBytes_));
  }

 private:
  int64_t size_, count_, rowBytes_;
};

/// A counting sort of the positions by index gives each output row its terms in their order; rows are then independent.
template <typename T, typename Index>
class IndexAdd : public Kernel {
  using C = Compute<T>;

 public:
  IndexAdd(int64_t size, int64_t count, int64_t width) : size_(size), count_(count), width_(width) {}

  size_t workspaceBytes() const override { return static_cast<size_t>(size_ + 1 + count_) * sizeof(int64_t); }

  void run(const RunOperands& operands) override {
    const auto* indices = static_cast<const Index*>(operands.inputs[0]);
    const auto* dy = static_cast<const T*>(operands.inputs[1]);
    auto* out = static_cast<T*>(operands.outputs[0]);
    checkIndices("indexAdd", indices, count_, size_);
    auto* ends = static_cast<int64_t*>(operands.workspace);
    auto* order = ends + size_ + 1;
    std::fill_n(ends, size_ + 1, 0);
    for (int64_t i = 0; i < count_; i++) ends[static_cast<int64_t>(indices[i]) + 1]++;
    for (int64_t row = 0; row < size_; row++) ends[row + 1] += ends[row];
    // After this, ends[row] is where the row's positions end.
    for (int64_t i = 0; i < count_; i++) order[ends[static_cast<int64_t>(indices[i])]++] = i;
#pragma omp parallel for schedule(dynamic, 64) if ((count_ + size_) * width_ > kParallelElements)
    for (int64_t row = 0; row < size_; row++)
      sum(dy, order, row == 0 ? 0 : ends[row - 1], ends[row], out + row * width_);
  }

 private:
  void sum(const T* dy, const int64_t* order, int64_t first, int64_t last, T* to) const {
    constexpr int64_t block = 64;
    for (int64_t column = 0; column < width_; column += block) {
      const int64_t columns = std::min(block, width_ - column);
      C sums[block] = {};
      for (int64_t i = first; i < last; i++) {
        const T* from = dy + order[i] * width_ + column;
        for (int64_t j = 0; j < columns; j++) sums[j] = static_cast<C>(sums[j] + load(from[j]));
      }
      for (int64_t j = 0; j < columns; j++) to[column + j] = store<T>(sums[j]);
    }
  }

  int64_t size_, count_, width_;
};

/// [outer, axis, inner] of the operand and of the index, which may be smaller in the other axes as well.
struct AxisProblem {
  std::vector<int64_t> shape, indexShape;
  std::vector<int64_t> strides;  // of the operand, row-major
  size_t axis;
  int64_t count;

  AxisProblem(const TensorSpec& operand, const TensorSpec& index, size_t axis)
      : shape(operand.shape), indexShape(index.shape), strides(operand.shape.size()), axis(axis), count(index.size()) {
    int64_t step = 1;
    for (size_t i = shape.size(); i-- > 0; step *= shape[i]) strides[i] = step;
  }

  /// The operand's position for an index element, without the indexed axis.
  int64_t base(int64_t element) const {
    int64_t at = 0;
    for (size_t i = indexShape.size(); i-- > 0; element /= indexShape[i])
      if (i != axis) at += element % indexShape[i] * strides[i];
    return at;
  }
};

template <typename T, typename Index>
class Gather : public Kernel {
 public:
  explicit Gather(const AxisProblem& problem) : p_(problem) {}

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    const auto* index = static_cast<const Index*>(operands.inputs[1]);
    auto* out = static_cast<T*>(operands.outputs[0]);
    checkIndices("gather", index, p_.count, p_.shape[p_.axis]);
    const int64_t stride = p_.strides[p_.axis];
#pragma omp parallel for schedule(static) if (p_.count > kParallelElements)
    for (int64_t i = 0; i < p_.count; i++) out[i] = x[p_.base(i) + static_cast<int64_t>(index[i]) * stride];
  }

 private:
  AxisProblem p_;
};

/// Sums in the compute type; one thread owns an outer slice, so that equal positions are added in index order.
template <typename T, typename Index>
class ScatterAdd : public Kernel {
  using C = Compute<T>;

 public:
  ScatterAdd(const AxisProblem& problem, int64_t size) : p_(problem), size_(size) {
    for (size_t i = 0; i < p_.axis; i++) slices_ *= p_.indexShape[i];
  }

  size_t workspaceBytes() const override { return std::is_same_v<T, C> ? 0 : static_cast<size_t>(size_) * sizeof(C); }

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    const auto* index = static_cast<const Index*>(operands.inputs[1]);
    const auto* source = static_cast<const T*>(operands.inputs[2]);
    auto* out = static_cast<T*>(operands.outputs[0]);
    checkIndices("scatterAdd", index, p_.count, p_.shape[p_.axis]);
    C* sums;
    if constexpr (std::is_same_v<T, C>)
      sums = out;
    else
      sums = static_cast<C*>(operands.workspace);
    if (static_cast<const void*>(sums) != x)
      for (int64_t i = 0; i < size_; i++) sums[i] = load(x[i]);
    const int64_t stride = p_.strides[p_.axis], part = slices_ == 0 ? 0 : p_.count / slices_;
#pragma omp parallel for schedule(static) if (p_.count > kParallelElements)
    for (int64_t slice = 0; slice < slices_; slice++)
      for (int64_t i = slice * part; i < (slice + 1) * part; i++) {
        C& sum = sums[p_.base(i) + static_cast<int64_t>(index[i]) * stride];
        sum = static_cast<C>(sum + load(source[i]));
      }
    if constexpr (!std::is_same_v<T, C>)
      for (int64_t i = 0; i < size_; i++) out[i] = store<T>(sums[i]);
  }

 private:
  AxisProblem p_;
  int64_t size_;
  int64_t slices_ = 1;
};

std::unique_ptr<Kernel> makeTake(WordReader&, Specs in, Specs out) {
  constexpr const char* op = "take";
  expectCount(op, in, 2, out, 1);
  expectContiguous(op, in, out);
  expect(!in[0].shape.empty(), op, "an operand of rank 1 or more", in, out);
  std::vector<int64_t> shape = in[1].shape;
  shape.insert(shape.end(), in[0].shape.begin() + 1, in[0].shape.end());
  expect(out[0].shape == shape && out[0].dtype == in[0].dtype, op, "an output of shape " + formatList(shape), in, out);
  const int64_t row = product(std::span(in[0].shape).subspan(1)) * bytesOf(in[0].dtype);
  return dispatchIndex(op, in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
    return std::make_unique<Take<typename decltype(index)::type>>(in[0].shape[0], in[1].size(), row);
  });
}

std::unique_ptr<Kernel> makeIndexAdd(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "indexAdd";
  const IndexAddParams params = IndexAddParams::read(words);
  expectCount(op, in, 2, out, 1);
  expectContiguous(op, in, out);
  const size_t lead = in[0].shape.size();
  expect(in[1].shape.size() >= lead && std::equal(in[0].shape.begin(), in[0].shape.end(), in[1].shape.begin()), op,
         "values whose leading axes are those of the indices", in, out);
  std::vector<int64_t> shape{params.size};
  shape.insert(shape.end(), in[1].shape.begin() + static_cast<std::ptrdiff_t>(lead), in[1].shape.end());
  expect(params.size >= 0 && out[0].shape == shape && out[0].dtype == in[1].dtype, op,
         "an output of shape " + formatList(shape), in, out);
  const int64_t width = product(std::span(shape).subspan(1));
  return dispatchAny(op, in[1].dtype, [&](auto tag) {
    return dispatchIndex(op, in[0].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<IndexAdd<typename decltype(tag)::type, typename decltype(index)::type>>(
          params.size, in[0].size(), width);
    });
  });
}

AxisProblem readAxis(const char* op, int64_t axis, const TensorSpec& operand, const TensorSpec& index, Specs in,
                     Specs out) {
  expectContiguous(op, in, out);
  const size_t rank = operand.shape.size();
  expect(rank > 0 && index.shape.size() == rank && axis >= 0 && axis < static_cast<int64_t>(rank), op,
         "an index of the operand's rank and an axis below it", in, out);
  const auto along = static_cast<size_t>(axis);
  for (size_t i = 0; i < rank; i++)
    expect(i == along || index.shape[i] <= operand.shape[i], op, "an index no larger than the operand in other axes",
           in, out);
  return AxisProblem(operand, index, along);
}

std::unique_ptr<Kernel> makeGather(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "gather";
  const GatherParams params = GatherParams::read(words);
  expectCount(op, in, 2, out, 1);
  const AxisProblem problem = readAxis(op, params.axis, in[0], in[1], in, out);
  expect(out[0].shape == in[1].shape && out[0].dtype == in[0].dtype, op, "an output of the index's shape", in, out);
  return dispatchAny(op, in[0].dtype, [&](auto tag) {
    return dispatchIndex(op, in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<Gather<typename decltype(tag)::type, typename decltype(index)::type>>(problem);
    });
  });
}

std::unique_ptr<Kernel> makeScatterAdd(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "scatterAdd";
  const ScatterAddParams params = ScatterAddParams::read(words);
  expectCount(op, in, 3, out, 1);
  const AxisProblem problem = readAxis(op, params.axis, in[0], in[1], in, out);
  expect(in[2].shape == in[1].shape && in[2].dtype == in[0].dtype && out[0].shape == in[0].shape &&
             out[0].dtype == in[0].dtype,
         op, "a source of the index's shape and an output like the operand", in, out);
  return dispatchAny(op, in[0].dtype, [&](auto tag) {
    return dispatchIndex(op, in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<ScatterAdd<typename decltype(tag)::type, typename decltype(index)::type>>(problem,
                                                                                                        in[0].size());
    });
  });
}

}  // namespace

void registerIndexing(KernelTable& table) {
  table.add(OpId::take, makeTake);
  table.add(OpId::indexAdd, makeIndexAdd);
  table.add(OpId::gather, makeGather);
  table.add(OpId::scatterAdd, makeScatterAdd);
}

}  // namespace heddle
