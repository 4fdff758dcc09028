// Matmul of f32 and f64 on packed operands: blocks of both sides sized for the caches, tiles in registers.
//
// One side is packed by all threads together into memory they share; the other is packed by each thread, block by
// block, for the part of the result it has drawn. Parts are drawn as threads come to them and get smaller towards the
// end, so that a thread that loses its core delays the others by little. Whoever computes an element sums it in the
// same order: over blocks of k of a size that only the problem decides.
#include <omp.h>

#include <algorithm>
#include <utility>

#include "../core/element.h"
#include "levels.h"
#include "matmul.h"
#include "onednn.h"
#include "progress.h"
#include "rounding.h"

namespace heddle {

template <typename T>
using FinishTile = void (*)(T* tile, int64_t stride, const T* bias, int64_t rows, int64_t columns);

/// The loops of one instruction-set level, and the rows and columns of their tiles.
template <typename T>
struct PackedLoops {
  using Pack = void (*)(const T* from, int64_t across, int64_t along, int64_t count, int64_t k, T* to);
  int64_t tileRows, tileColumns;
  Pack packRows, packColumns;
  void (*multiply)(const T* a, const T* b, int64_t k, T* out, int64_t stride, int64_t rows, int64_t columns,
                   bool accumulate, FinishTile<T> finish, const T* bias);
  FinishTile<T> finish;
};

}  // namespace heddle

#define HEDDLE_LOOPS "packed_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

// A sliver of each side: what a tile reads fits a first-level cache of 32 KiB beside the next one's.
constexpr size_t kTileBytes = size_t{24} << 10;
// A block of the own side, and that of the result it is multiplied into: both stay in a second-level cache of 512 KiB.
constexpr size_t kBlockBytes = size_t{128} << 10;
// What all threads share of the last-level cache; what each has of it where they share nothing.
constexpr size_t kSharedBytes = size_t{8} << 20, kOwnBytes = size_t{1} << 20;
// Packing a side again for each part costs little where the other has so many rows or columns.
constexpr int64_t kEnoughReuse = 512;
// No more rows of a than this are packed once for all, and b, where it is the larger side, as it is used.
constexpr int64_t kFewRows = 256;
// Slivers of a, at least, that a sliver of b is read for; and slivers of b for which a is packed.
constexpr int64_t kLeastSlivers = 8;
// Starting threads takes some microseconds.
constexpr double kLeastParallelWork = 131072;
// Matrices of less work, where there are many, are computed by one thread each.
constexpr double kLeastSharedWork = 4e6;

struct Range {
  int64_t first, count;
};

/// A range of the own side, and of a block of the common one.
struct Task {
  Range own, common;
};

/// The least multiple of `unit` that cuts `extent` into as few parts as `most` does.
int64_t evenPart(int64_t extent, int64_t most, int64_t unit) {
  return roundUp(ceilDivide(extent, ceilDivide(extent, most)), unit);
}

Range partOf(int64_t extent, int64_t size, int64_t index) {
  return {index * size, std::min(size, extent - index * size)};
}

/// One operand: its slivers lie across the rows of a, or the columns of b, each along k.
template <typename T>
struct Side {
  std::vector<int64_t> offsets;
  int64_t extent, width, across, along;
  typename PackedLoops<T>::Pack packInto;

  void pack(const T* data, size_t batch, Range range, Range k, T* to) const {
    packInto(data + offsets[batch] + range.first * across + k.first * along, across, along, range.count, k.count, to);
  }
  int64_t padded(int64_t count) const { return roundUp(count, width); }
};

template <typename T>
class MatmulPacked : public Kernel {
 public:
  explicit MatmulPacked(const MatmulProblem& problem)
      : problem_(problem),
        loops_(HEDDLE_DISPATCH(packedLoops<T>)(problem.activation)),
        a_{problem.offsets(problem.a), problem.m,      loops_.tileRows, problem.a.rowStride,
           problem.a.columnStride,     loops_.packRows},
        b_{problem.offsets(problem.b), problem.n,           loops_.tileColumns,
           problem.b.columnStride,     problem.b.rowStride, loops_.packColumns},
        threads_(omp_get_max_threads()) {
    const double work =
        static_cast<double>(problem.m) * static_cast<double>(problem.n) * static_cast<double>(problem.k);
    const auto batches = static_cast<int64_t>(a_.offsets.size());
    if (work * static_cast<double>(batches) < kLeastParallelWork) threads_ = 1;
    shared_ = batches < threads_ || work >= kLeastSharedWork * threads_;
    commonIsA_ = shared_ && problem.m <= kFewRows && problem.m < problem.n;
    const int64_t width = common().width, ownWidth = own().width;
    depth_ = evenPart(problem.k, elements(kTileBytes) / (width + ownWidth) / 8 * 8, 8);
    const auto block = [&](int64_t by, int64_t unit) {
      return std::max(elements(kBlockBytes) / by / unit * unit, unit);
    };
    ownBlock_ = block(depth_, ownWidth);
    const int64_t cache = elements(shared_ ? kSharedBytes : kOwnBytes);
    commonBlock_ = evenPart(common().extent, std::max({kEnoughReuse, cache / problem.k, width}), width);
    innerBlock_ = commonIsA_ ? commonBlock_ : block(ownBlock_, width);
    const int64_t group = std::min(cache / commonBlock_, elements(kOwnBytes) / ownBlock_);
    group_ = std::min(std::max(group / depth_, int64_t{1}), ceilDivide(problem.k, depth_)) * depth_;
    if (shared_)
      splitShared();
    else
      splitBatches(batches);
    commonBytes_ = bytes(commonBlock_, std::min(group_, problem.k));
    ownBytes_ =
        bytes(std::min(ownBlock_, own().padded(own().extent)), std::min(commonIsA_ ? depth_ : group_, problem.k));
  }

  size_t workspaceBytes() const override {
    const auto threads = static_cast<size_t>(threads_);
    return ownBytes_ * threads + commonBytes_ * (shared_ ? 1 : threads);
  }

  void run(const RunOperands& operands) override {
    const Run run{static_cast<const T*>(operands.inputs[0]), static_cast<const T*>(operands.inputs[1]),
                  problem_.hasBias ? static_cast<const T*>(operands.inputs[2]) : nullptr,
                  static_cast<T*>(operands.outputs[0]), static_cast<char*>(operands.workspace)};
    Progress progress;
#pragma omp parallel num_threads(threads_) if (threads_ > 1)
    if (shared_)
      runShared(run, progress);
    else
      runBatches(run, progress);
  }

 private:
  struct Run {
    const T* a;
    const T* b;
    const T* bias;
    T* out;
    char* workspace;
  };

  const Side<T>& common() const { return commonIsA_ ? a_ : b_; }
  const Side<T>& own() const { return commonIsA_ ? b_ : a_; }
  const T* commonData(const Run& run) const { return commonIsA_ ? run.a : run.b; }
  const T* ownData(const Run& run) const { return commonIsA_ ? run.b : run.a; }
  static int64_t elements(size_t bytes) { return static_cast<int64_t>(bytes / sizeof(T)); }
  static size_t bytes(int64_t count, int64_t k) { return onednn::alignUp(static_cast<size_t>(count * k) * sizeof(T)); }

  /// Tasks of the own side's extent by a block of the common side, each a fraction of what is left. Slivers of b are
  /// used by some slivers of a each time they are read; smaller tasks are made by splitting columns.
  void splitShared() {
    const int64_t slivers = ceilDivide(own().extent, own().width), across = commonBlock_ / common().width;
    const int64_t most = ownBlock_ / own().width, least = commonIsA_ ? 1 : std::min(kLeastSlivers, most);
    const int64_t fraction = threads_ > 1 ? 2 * threads_ : 1;
    for (int64_t first = 0; first < slivers;) {
      const int64_t left = slivers - first, count = std::min(std::clamp(left / fraction, least, most), left);
      const int64_t pieces = std::clamp<int64_t>(count * fraction / left, 1, ceilDivide(across, kLeastSlivers));
      const int64_t piece = ceilDivide(across, pieces) * common().width, begin = first * own().width;
      for (int64_t offset = 0; offset < commonBlock_; offset += piece)
        tasks_.push_back({{begin, std::min(count * own().width, own().extent - begin)}, {offset, piece}});
      first += count;
    }
  }

  /// Rows of a, as many as keep every thread busy; few, as each packs b again.
  void splitBatches(int64_t batches) {
    const int64_t wanted = std::min(ceilDivide(4 * threads_, batches), ceilDivide(problem_.m, ownBlock_));
    const int64_t rows = evenPart(problem_.m, ceilDivide(problem_.m, wanted), a_.width);
    for (int64_t first = 0; first < problem_.m; first += rows)
      tasks_.push_back({{first, std::min(rows, problem_.m - first)}, {0, commonBlock_}});
  }

  template <typename Visit>
  static void eachPart(Range range, int64_t size, Visit&& visit) {
    for (int64_t first = range.first; first < range.first + range.count; first += size)
      visit(Range{first, std::min(size, range.first + range.count - first)});
  }

  T* ownMemory(const Run& run) const {
    const auto thread = static_cast<size_t>(omp_get_thread_num());
    return reinterpret_cast<T*>(run.workspace + (shared_ ? commonBytes_ : 0) +
                                (ownBytes_ + (shared_ ? 0 : commonBytes_)) * thread);
  }

  /// For each matrix, block of the common side and group of k: steps that pack, then tasks.
  void runShared(const Run& run, Progress& progress) const {
    T* const packed = reinterpret_cast<T*>(run.workspace);
    T* const memory = ownMemory(run);
    const int64_t packs = ceilDivide(group_, depth_) * ceilDivide(commonBlock_, packStep());
    const int64_t steps = packs + static_cast<int64_t>(tasks_.size());
    const int64_t groups = ceilDivide(problem_.k, group_), blocks = ceilDivide(common().extent, commonBlock_);
    const int64_t phases = static_cast<int64_t>(a_.offsets.size()) * blocks * groups;
    for (int64_t step; (step = progress.draw()) < phases * steps; progress.finish()) {
      const int64_t phase = step / steps, index = step % steps;
      progress.await(phase * steps + (index < packs ? 0 : packs));
      const auto batch = static_cast<size_t>(phase / groups / blocks);
      const Range block = partOf(common().extent, commonBlock_, phase / groups % blocks);
      const Range k = partOf(problem_.k, group_, phase % groups);
      if (index < packs)
        packStepOf(run, batch, block, k, index, packed);
      else
        multiplyPart(run, batch, tasks_[static_cast<size_t>(index - packs)], block, k, packed, memory);
    }
  }

  int64_t packStep() const { return 4 * common().width; }

  void packStepOf(const Run& run, size_t batch, Range block, Range k, int64_t index, T* packed) const {
    const bool whole = commonBlock_ >= common().extent && group_ >= problem_.k;
    if (whole && batch > 0 && common().offsets[batch] == common().offsets[batch - 1]) return;
    const int64_t depths = ceilDivide(group_, depth_);
    const Range depth = partOf(k.count, depth_, index % depths);
    const Range part = partOf(block.count, packStep(), index / depths);
    if (depth.count <= 0 || part.count <= 0) return;
    packBlock(common(), commonData(run), batch, block, k, {block.first + part.first, part.count},
              {k.first + depth.first, depth.count}, packed);
  }

  void runBatches(const Run& run, Progress& progress) const {
    T* const memory = ownMemory(run);
    T* const packed = memory + ownBytes_ / sizeof(T);
    const auto parts = static_cast<int64_t>(tasks_.size()), count = static_cast<int64_t>(a_.offsets.size()) * parts;
    for (int64_t step; (step = progress.draw()) < count;) {
      const auto batch = static_cast<size_t>(step / parts);
      const Range rows = tasks_[static_cast<size_t>(step % parts)].own;
      eachPart({0, problem_.n}, commonBlock_, [&](Range block) {
        eachPart({0, problem_.k}, group_, [&](Range k) {
          packGroup(b_, run.b, batch, block, k, packed);
          eachPart(rows, ownBlock_,
                   [&](Range part) { multiplyPart(run, batch, {part, {0, block.count}}, block, k, packed, memory); });
        });
      });
    }
  }

  /// Where slivers from `first` on lie in a packed group: the blocks of k behind each other, in each all of `range`.
  static T* at(const Side<T>& side, T* packed, Range range, Range k, int64_t first, Range depth) {
    return packed + (depth.first - k.first) * side.padded(range.count) + (first - range.first) * depth.count;
  }

  void packBlock(const Side<T>& side, const T* data, size_t batch, Range range, Range k, Range part, Range depth,
                 T* packed) const {
    side.pack(data, batch, part, depth, at(side, packed, range, k, part.first, depth));
  }

  void packGroup(const Side<T>& side, const T* data, size_t batch, Range range, Range k, T* packed) const {
    // All of k for some slivers, as memory is read ahead along it.
    eachPart(range, 4 * side.width, [&](Range part) {
      eachPart(k, depth_, [&](Range depth) { packBlock(side, data, batch, range, k, part, depth, packed); });
    });
  }

  /// The product of a part of the own side, which it packs, with a piece of the packed common block.
  void multiplyPart(const Run& run, size_t batch, const Task& task, Range block, Range k, T* packed, T* memory) const {
    const Range part = task.own;
    const Range piece{block.first + task.common.first, std::min(task.common.count, block.count - task.common.first)};
    if (piece.count <= 0) return;
    if (!commonIsA_) packGroup(own(), ownData(run), batch, part, k, memory);
    eachPart(commonIsA_ ? part : piece, commonIsA_ ? ownBlock_ : innerBlock_, [&](Range inner) {
      eachPart(k, depth_, [&](Range depth) {
        if (commonIsA_) own().pack(run.b, batch, inner, depth, memory);
        const T* a =
            commonIsA_ ? at(a_, packed, block, k, piece.first, depth) : at(a_, memory, part, k, part.first, depth);
        const T* b = commonIsA_ ? memory : at(b_, packed, block, k, inner.first, depth);
        const Range rows = commonIsA_ ? piece : part;
        const bool last = depth.first + depth.count == problem_.k;
        const bool finished = last && (run.bias || problem_.activation != Activation::none);
        loops_.multiply(a, b, depth.count,
                        run.out + (static_cast<int64_t>(batch) * problem_.m + rows.first) * problem_.n + inner.first,
                        problem_.n, rows.count, inner.count, depth.first > 0, finished ? loops_.finish : nullptr,
                        run.bias ? run.bias + inner.first : nullptr);
      });
    });
  }

  MatmulProblem problem_;
  PackedLoops<T> loops_;
  Side<T> a_, b_;
  int threads_;
  bool shared_, commonIsA_ = false;
  int64_t depth_, group_, ownBlock_, commonBlock_, innerBlock_;
  std::vector<Task> tasks_;
  size_t commonBytes_, ownBytes_;
};

}  // namespace

std::unique_ptr<Kernel> makeMatmulPacked(const MatmulProblem& problem) {
  if (problem.dtype == DType::f64) return std::make_unique<MatmulPacked<double>>(problem);
  return std::make_unique<MatmulPacked<float>>(problem);
}

}  // namespace heddle
