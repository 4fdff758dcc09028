// Op indexCopy: rows written where an index says, the last one where several say the same; nothing is written where an
// index of the run is wrong. In its operand's own memory only those rows move: bound by memory, each read and written
// once.
#include "../core/indexing_problem.h"
#include "device/index.h"
#include "kernels.h"
#include "launch.h"
#include "units.h"

namespace heddle::cuda {
namespace {

/// Up to this many indices every block looks at all of them itself.
constexpr int kFew = 1024;
constexpr int kThreads = 256;

/// Rows of `units` each; a row that is not the last of its index is passed over.
template <typename Unit>
__global__ void __launch_bounds__(kThreads) copyFew(const Indices indices, const Unit* rows, Unit* out, int64_t limit,
                                                    int64_t units, int count, Reporter reporter) {
  __shared__ int64_t all[kFew];
  if (reporter.report->finding != 0) return;
  int wrong = 0;
#pragma unroll 1
  for (int i = threadIdx.x; i < count; i += kThreads) {
    all[i] = indices[i];
    if (!inRange(all[i], limit, i, reporter)) wrong = 1;
  }
  if (__syncthreads_or(wrong)) return;
  for (int row = blockIdx.x; row < count; row += gridDim.x) {
    const int64_t index = all[row];
    int later = 0;
#pragma unroll 1
    for (int j = row + 1 + threadIdx.x; j < count; j += kThreads) later |= all[j] == index;
    if (__syncthreads_or(later)) continue;
#pragma unroll 1
    for (int64_t i = threadIdx.x; i < units; i += kThreads) out[index * units + i] = rows[row * units + i];
  }
}

/// Where the last row of each index is noted, by index.
__global__ void clearOwners(const Indices indices, uint32_t* owners, int64_t limit, uint32_t count, Reporter reporter) {
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    const int64_t index = indices[i];
    if (inRange(index, limit, i, reporter)) owners[index] = 0;
  }
}

__global__ void noteOwners(const Indices indices, uint32_t* owners, uint32_t count, const int* finding) {
  if (*finding != 0) return;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
    atomicMax(&owners[indices[i]], i);
}

template <typename Unit>
__global__ void copyOwned(const Indices indices, const uint32_t* owners, const Unit* rows, Unit* out, int64_t units,
                          uint32_t count, const int* finding) {
  if (*finding != 0) return;
  for (uint32_t row = blockIdx.x; row < count; row += gridDim.x) {
    const int64_t index = indices[row];
    if (owners[index] != row) continue;
    for (int64_t i = threadIdx.x; i < units; i += blockDim.x) out[index * units + i] = rows[row * units + i];
  }
}

class IndexCopy : public Kernel {
 public:
  IndexCopy(const RowsProblem& problem, int64_t bytes, DType index)
      : rows_(problem.rows),
        count_(problem.count),
        rowBytes_(problem.width * bytes),
        bytes_(bytes),
        index_(indexType("indexCopy", index)) {
    if (count_ > INT32_MAX) throw Error(ErrorCode::unsupported, "indexCopy: more than 2147483647 indices on cuda");
  }

  size_t workspaceBytes() const override { return count_ > kFew ? static_cast<size_t>(rows_) * sizeof(uint32_t) : 0; }

  bool guarded() const override { return true; }

  void run(const RunOperands& operands) override {
    constexpr const char* op = "indexCopy";
    const Context& context = Context::current();
    const Reporter reporter = context.reporter(OpId::indexCopy);
    const int* finding = &reporter.report->finding;
    const Indices indices(operands.inputs[1], index_);
    void* out = operands.outputs[0];
    if (rows_ * rowBytes_ == 0) {
      launch(op, checkIndices, gridFor(count_, kThreads), kThreads, 0, indices, rows_, count_, reporter);
      return;
    }
    if (out != operands.inputs[0])
      check(cudaMemcpyAsync(out, operands.inputs[0], static_cast<size_t>(rows_ * rowBytes_), cudaMemcpyDeviceToDevice,
                            context.stream),
            op);
    const auto count = static_cast<uint32_t>(count_);
    auto* owners = static_cast<uint32_t*>(operands.workspace);
    if (count_ > kFew) {
      launch(op, clearOwners, gridFor(count_, kThreads), kThreads, 0, indices, owners, rows_, count, reporter);
      launch(op, noteOwners, gridFor(count_, kThreads), kThreads, 0, indices, owners, count, finding);
    }
    int64_t unit = 16;
    while (unit > bytes_ && !(rowBytes_ % unit == 0 && alignedTo(operands.inputs[2], unit) && alignedTo(out, unit)))
      unit /= 2;
    dispatchUnit(unit, [&](auto tag) {
      using Unit = typename decltype(tag)::type;
      const auto* from = static_cast<const Unit*>(operands.inputs[2]);
      auto* to = static_cast<Unit*>(out);
      if (count_ > kFew)
        launch(op, copyOwned<Unit>, gridFor(count_, 1), kThreads, 0, indices, owners, from, to, rowBytes_ / unit, count,
               finding);
      else
        launch(op, copyFew<Unit>, gridFor(count_, 1), kThreads, 0, indices, from, to, rows_, rowBytes_ / unit,
               static_cast<int>(count), reporter);
    });
  }

 private:
  const int64_t rows_, count_, rowBytes_, bytes_;
  const DType index_;
};

std::unique_ptr<Kernel> makeIndexCopy(WordReader&, Specs in, Specs out) {
  return std::make_unique<IndexCopy>(readIndexCopy(in, out), bytesOf(in[0].dtype), in[1].dtype);
}

}  // namespace

void registerIndexCopy(KernelTable& table) { table.add(OpId::indexCopy, makeIndexCopy); }

}  // namespace heddle::cuda
