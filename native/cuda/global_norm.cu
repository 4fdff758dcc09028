// Op globalNorm: the Euclidean norm of many tensors together. Bound by memory: each element is read once.
#include "../core/optimizer_problem.h"
#include "device/group.h"
#include "device/row.h"
#include "kernels.h"
#include "launch.h"
#include "tensor_batch.h"

namespace heddle::cuda {
namespace {

constexpr int64_t kChunk = 32768;
constexpr int kThreads = 256;
/// Packs that a thread has in flight.
constexpr int kInFlight = 4;
using Batch = TensorBatch<1, 192>;

/// The sum of squares in f64. In f32 where the largest magnitude says that squares neither overflow nor vanish, which
/// is nearly always and keeps up with memory on devices with few units for f64; their sum of a few terms has rounding
/// errors far below those of a long f32 sum.
template <int kCount>
__device__ inline double sumOfSquares(const float (&values)[kCount]) {
  float largest = 0;
#pragma unroll
  for (float value : values) largest = fmaxf(largest, fabsf(value));
  float sum = 0;
#pragma unroll
  for (float value : values) sum += value * value;
  // NaN is passed over by fmaxf, not by the sum.
  if (largest == 0 || (largest > 0x1p-50f && largest < 0x1p50f)) return sum;
  double exact = 0;
#pragma unroll
  for (float value : values) exact += static_cast<double>(value) * static_cast<double>(value);
  return exact;
}
template <int kCount>
__device__ inline double sumOfSquares(const double (&values)[kCount]) {
  double sum = 0;
#pragma unroll
  for (double value : values) sum += value * value;
  return sum;
}

/// One block per chunk; sums[chunk] is that chunk's.
template <typename T>
__global__ __launch_bounds__(kThreads) void sumChunks(const __grid_constant__ Batch batch, double* sums) {
  constexpr int kWidth = kPackWidth<T>;
  __shared__ double scratch[32];
  const int tensor = tensorOfChunk(batch, blockIdx.x);
  const int64_t start = int64_t{static_cast<int>(blockIdx.x) - batch.firstChunk[tensor]} * kChunk;
  const T* from = static_cast<const T*>(batch.address[0][tensor]) + start;
  const int64_t left = batch.size[tensor] - start;
  const RowPacks<T, int> chunk(0, static_cast<int>(left < kChunk ? left : kChunk), packAligned(from));
  double sum = 0;
  for (int first = threadIdx.x; first < chunk.packs(); first += kInFlight * kThreads) {
    Words packs[kInFlight];
    chunk.load(from, first, kThreads, T{}, packs);
    Compute<T> values[kInFlight * kWidth];
    widenAll<T>(packs, values);
    sum += sumOfSquares(values);
  }
  sum = blockReduce<Sum>(sum, 0.0, scratch);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <typename T>
__global__ __launch_bounds__(1024) void addChunks(const double* sums, int count, T* norm) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += sums[i];
  sum = blockReduce<Sum>(sum, 0.0, scratch);
  if (threadIdx.x == 0) *norm = static_cast<T>(sqrt(sum));
}

class GlobalNorm : public Kernel {
 public:
  GlobalNorm(Specs tensors, bool wide) : groups_(groupTensors(tensors)), wide_(wide) {
    for (const TensorGroup& group : groups_)
      for (int64_t size : group.sizes) chunks_ += (size + kChunk - 1) / kChunk;
  }

  size_t workspaceBytes() const override { return static_cast<size_t>(chunks_) * sizeof(double); }

  void run(const RunOperands& operands) override {
    auto* sums = static_cast<double*>(operands.workspace);
    for (const TensorGroup& group : groups_)
      dispatchFloat("globalNorm", group.dtype, [&](auto tag) {
        forEachBatch<1, Batch::capacity>(
            group, kChunk, [&](int, size_t tensor) { return operands.inputs[tensor]; },
            [&](const Batch& batch) {
              const int chunks = batch.firstChunk[batch.count];
              launch("globalNorm", sumChunks<typename decltype(tag)::type>, static_cast<unsigned>(chunks), kThreads, 0,
                     batch, sums);
              sums += chunks;
            });
      });
    if (wide_)
      addAll<double>(operands);
    else
      addAll<float>(operands);
  }

 private:
  template <typename T>
  void addAll(const RunOperands& operands) const {
    launch("globalNorm", addChunks<T>, 1, 1024, 0, static_cast<const double*>(operands.workspace),
           static_cast<int>(chunks_), static_cast<T*>(operands.outputs[0]));
  }

  const std::vector<TensorGroup> groups_;
  const bool wide_;  // the result is f64
  int64_t chunks_ = 0;
};

std::unique_ptr<Kernel> makeGlobalNorm(WordReader& words, Specs in, Specs out) {
  return std::make_unique<GlobalNorm>(in, readGlobalNorm(GlobalNormParams::read(words).wide, in, out));
}

}  // namespace

void registerGlobalNorm(KernelTable& table) { table.add(OpId::globalNorm, makeGlobalNorm); }

}  // namespace heddle::cuda
