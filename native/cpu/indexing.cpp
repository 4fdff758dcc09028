// Ops take, indexCopy, indexAdd, gather and scatterAdd: rows and elements chosen by index. Every index is checked
// before anything is read or written with it, and sums run in the order of the indices, so results are bit-for-bit
// repeatable.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "../core/indexing_problem.h"
#include "kernels.h"
#include "levels.h"
#include "stream.h"

#define HEDDLE_LOOPS "index_add_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

constexpr int64_t kParallelElements = 16384;
/// So far ahead of what is copied rows are asked for, since they lie where no processor foresees them.
constexpr int64_t kAheadBytes = 2048;
constexpr int64_t rowsAhead(int64_t rowBytes) { return std::max<int64_t>(1, kAheadBytes / rowBytes); }

template <typename Index>
void checkIndices(const char* op, const Index* indices, int64_t count, int64_t size) {
  using Unsigned = std::make_unsigned_t<Index>;
  const auto limit = static_cast<Unsigned>(std::min<int64_t>(size, std::numeric_limits<Index>::max()));
  // Which one it is matters only where there is one.
  bool anyBad = false;
#pragma omp parallel for simd schedule(static) reduction(|| : anyBad) if (parallel : count > kParallelElements)
  for (int64_t i = 0; i < count; i++) anyBad = anyBad || static_cast<Unsigned>(indices[i]) >= limit;
  if (!anyBad) return;
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
  Take(const RowsProblem& problem, int64_t bytes)
      : size_(problem.rows), count_(problem.count), rowBytes_(problem.width * bytes) {}

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const char*>(operands.inputs[0]);
    const auto* indices = static_cast<const Index*>(operands.inputs[1]);
    auto* out = static_cast<char*>(operands.outputs[0]);
    checkIndices("take", indices, count_, size_);
    const int64_t part = std::max<int64_t>(1, (count_ + omp_get_max_threads() - 1) / omp_get_max_threads());
#pragma omp parallel for schedule(static) if (count_ * rowBytes_ > 4 * kParallelElements)
    for (int64_t first = 0; first < count_; first += part)
      takeRows(x, indices, out, first, std::min(first + part, count_));
  }

 private:
  void takeRows(const char* x, const Index* indices, char* out, int64_t first, int64_t last) const {
    const auto rowOf = [&](int64_t i) { return x + static_cast<int64_t>(indices[i]) * rowBytes_; };
    if (rowBytes_ < kLeastStreamed || count_ * rowBytes_ < kBeyondCaches) {
      for (int64_t i = first; i < last; i++) std::memcpy(out + i * rowBytes_, rowOf(i), static_cast<size_t>(rowBytes_));
      return;
    }
    const int64_t ahead = rowsAhead(rowBytes_);
    for (int64_t i = first; i < last; i++)
      streamCopy(out + i * rowBytes_, rowOf(i), rowBytes_, i + ahead < last ? rowOf(i + ahead) : nullptr);
    endStreams();
  }

  int64_t size_, count_, rowBytes_;
};

void copyBytes(char* to, const char* from, int64_t bytes) {
  constexpr int64_t part = 65536;
#pragma omp parallel for schedule(static) if (bytes > 4 * part)
  for (int64_t first = 0; first < bytes; first += part)
    std::memcpy(to + first, from + first, static_cast<size_t>(std::min(part, bytes - first)));
}

/// Moves only the rows it is given where the output is the operand's own memory.
template <typename Index>
class IndexCopy : public Kernel {
 public:
  IndexCopy(const RowsProblem& problem, int64_t bytes)
      : size_(problem.rows),
        count_(problem.count),
        rowBytes_(problem.width * bytes),
        parallel_(count_ * rowBytes_ > 4 * kParallelElements),
        once_(parallel_ && rowBytes_ >= kWideRow && count_ >= size_ / 16 &&
              count_ <= std::numeric_limits<int32_t>::max()),
        streams_(once_ && rowBytes_ >= kLeastStreamed && size_ * rowBytes_ >= kBeyondCaches) {}

  size_t workspaceBytes() const override { return once_ ? static_cast<size_t>(size_) * sizeof(int32_t) : 0; }

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const char*>(operands.inputs[0]);
    const auto* indices = static_cast<const Index*>(operands.inputs[1]);
    const auto* rows = static_cast<const char*>(operands.inputs[2]);
    auto* out = static_cast<char*>(operands.outputs[0]);
    checkIndices("indexCopy", indices, count_, size_);
    if (once_) return writeOnce(x, indices, rows, out, static_cast<int32_t*>(operands.workspace));
    if (out != x) copyBytes(out, x, size_ * rowBytes_);
    // Each part of the output has one thread, so that the last of equal indices stays.
    const int64_t parts = parallel_ ? omp_get_max_threads() : 1, part = (size_ + parts - 1) / parts;
#pragma omp parallel for schedule(static) if (parallel_)
    for (int64_t first = 0; first < size_; first += part)
      for (int64_t i = 0; i < count_; i++) {
        const auto row = static_cast<int64_t>(indices[i]);
        if (row >= first && row < first + part) copyRow(out + row * rowBytes_, rows + i * rowBytes_);
      }
  }

 private:
  /// Finding out which row is the last to go somewhere then costs less than writing the others.
  static constexpr int64_t kWideRow = 64;

  void writeOnce(const char* x, const Index* indices, const char* rows, char* out, int32_t* last) const {
    std::fill_n(last, size_, -1);
    for (int64_t i = 0; i < count_; i++) last[static_cast<int64_t>(indices[i])] = static_cast<int32_t>(i);
    const auto source = [&](int64_t row) {
      return last[row] >= 0 ? rows + last[row] * rowBytes_ : x + row * rowBytes_;
    };
    if (streams_ && out != x) return streamOnce(source, out);
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < size_; row++)
      if (last[row] >= 0 || out != x) copyRow(out + row * rowBytes_, source(row));
  }

  template <typename Source>
  void streamOnce(const Source& source, char* out) const {
    const int64_t ahead = rowsAhead(rowBytes_);
#pragma omp parallel
    {
#pragma omp for schedule(static) nowait
      for (int64_t row = 0; row < size_; row++)
        streamCopy(out + row * rowBytes_, source(row), rowBytes_, source(std::min(row + ahead, size_ - 1)));
      endStreams();
    }
  }

  void copyRow(char* to, const char* from) const { std::memcpy(to, from, static_cast<size_t>(rowBytes_)); }

  int64_t size_, count_, rowBytes_;
  bool parallel_;
  bool once_;     // whether each row of the output is written once, though several may go there
  bool streams_;  // and that past the caches
};

/// A counting sort of the positions by index gives each output row its terms in their order; rows are then independent.
template <typename T, typename Index>
class IndexAdd : public Kernel {
  using C = Compute<T>;

 public:
  explicit IndexAdd(const RowsProblem& problem) : size_(problem.rows), count_(problem.count), width_(problem.width) {}

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
    const auto sumRows = HEDDLE_DISPATCH(sumRowsAt<T>);
#pragma omp parallel for schedule(dynamic, 64) if ((count_ + size_) * width_ > kParallelElements)
    for (int64_t row = 0; row < size_; row++)
      sumRows(dy, order, row == 0 ? 0 : ends[row - 1], ends[row], ends[std::min(row + 1, size_ - 1)], width_,
              out + row * width_);
  }

 private:
  int64_t size_, count_, width_;
};

/// [outer, axis, inner] of the operand and of the index, which may be smaller in the other axes as well.
struct AxisProblem {
  std::vector<int64_t> shape, indexShape;
  std::vector<int64_t> strides;  // of the operand, row-major
  size_t axis;
  int64_t count;

  explicit AxisProblem(const AxisShapes& shapes)
      : shape(shapes.operand),
        indexShape(shapes.index),
        strides(shape.size()),
        axis(shapes.axis),
        count(product(indexShape)) {
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
  explicit Gather(const AxisShapes& shapes) : p_(shapes) {}

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
  explicit ScatterAdd(const AxisShapes& shapes) : p_(shapes), size_(product(shapes.operand)) {
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
  const RowsProblem problem = readTake(in, out);
  return dispatchIndex("take", in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
    return std::make_unique<Take<typename decltype(index)::type>>(problem, bytesOf(in[0].dtype));
  });
}

std::unique_ptr<Kernel> makeIndexCopy(WordReader&, Specs in, Specs out) {
  const RowsProblem problem = readIndexCopy(in, out);
  return dispatchIndex("indexCopy", in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
    return std::make_unique<IndexCopy<typename decltype(index)::type>>(problem, bytesOf(in[0].dtype));
  });
}

std::unique_ptr<Kernel> makeIndexAdd(WordReader& words, Specs in, Specs out) {
  const RowsProblem problem = readIndexAdd(IndexAddParams::read(words), in, out);
  return dispatchAny("indexAdd", in[1].dtype, [&](auto tag) {
    return dispatchIndex("indexAdd", in[0].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<IndexAdd<typename decltype(tag)::type, typename decltype(index)::type>>(problem);
    });
  });
}

std::unique_ptr<Kernel> makeGather(WordReader& words, Specs in, Specs out) {
  const AxisShapes shapes = readGather(GatherParams::read(words), in, out);
  return dispatchAny("gather", in[0].dtype, [&](auto tag) {
    return dispatchIndex("gather", in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<Gather<typename decltype(tag)::type, typename decltype(index)::type>>(shapes);
    });
  });
}

std::unique_ptr<Kernel> makeScatterAdd(WordReader& words, Specs in, Specs out) {
  const AxisShapes shapes = readScatterAdd(ScatterAddParams::read(words), in, out);
  return dispatchAny("scatterAdd", in[0].dtype, [&](auto tag) {
    return dispatchIndex("scatterAdd", in[1].dtype, [&](auto index) -> std::unique_ptr<Kernel> {
      return std::make_unique<ScatterAdd<typename decltype(tag)::type, typename decltype(index)::type>>(shapes);
    });
  });
}

}  // namespace

void registerIndexing(KernelTable& table) {
  table.add(OpId::take, makeTake);
  table.add(OpId::indexCopy, makeIndexCopy);
  table.add(OpId::indexAdd, makeIndexAdd);
  table.add(OpId::gather, makeGather);
  table.add(OpId::scatterAdd, makeScatterAdd);
}

}  // namespace heddle
