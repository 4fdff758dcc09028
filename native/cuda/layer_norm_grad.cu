// Ops layerNormGrad and rmsNormGrad, over contiguous last axes. Bound by memory: x and dy are read once where a row
// stays in registers, dx is written once. Blocks add up the gradients of the weights over the rows that they work on; a
// second kernel adds up what the blocks have, in an order that the shape decides.
#include "../core/norm_problem.h"
#include "device/group.h"
#include "device/row.h"
#include "kernels.h"
#include "launch.h"
#include "row_share.h"

namespace heddle::cuda {
namespace {

/// Columns of a thread that stays with them while rows pass.
constexpr int kColumns = 8;
/// Threads of a block that holds a row: as many as have registers for eight columns.
template <typename T, bool kPacked>
constexpr int kMostThreads = kPacked && sizeof(T) == 2 ? 1024 : 512;
/// Threads there are altogether, if there are rows for as many: about what large devices run at once. Never more than
/// the shape asks for, whatever the device, so that sums have one order.
constexpr int64_t kThreads = 131072;

template <typename T>
struct NormGradOperands {
  const T *dy, *x, *gamma;
  const Compute<T>*mean, *rstd;
  T* dx;
  Compute<T>*gammaParts, *betaParts;  // one row of columns for each block
  int64_t rows, size;
  bool aligned;         // dy, x and dx
  bool weightsAligned;  // gamma
};

/// Where a thread's eight columns are. In packs where rows are whole packs, else every `lanes`th, so that neighbouring
/// threads touch neighbouring elements.
template <typename T, bool kPacked>
struct Columns {
  int size, lane, lanes;

  __device__ int at(int i) const {
    constexpr int width = kPackWidth<T>;
    return kPacked ? ((i / width) * lanes + lane) * width + i % width : i * lanes + lane;
  }
  __device__ bool has(int i) const { return at(i) < size; }

  /// Eight elements of a row, or zeros without one. Kept as packs or elements until `values` widens them.
  struct Held {
    Words packs[kPacked ? kColumns / kPackWidth<T> : 1];
    T elements[kPacked ? 1 : kColumns];
  };
  __device__ Held load(const T* row, bool aligned, bool present) const {
    Held held;
    if constexpr (kPacked) {
      RowPacks<T, int>(0, size, aligned, present).load(row, lane, lanes, T{}, held.packs);
    } else {
#pragma unroll
      for (int i = 0; i < kColumns; i++) held.elements[i] = present && has(i) ? row[at(i)] : T{};
    }
    return held;
  }
  __device__ static void values(const Held& held, Compute<T> (&values)[kColumns]) {
    if constexpr (kPacked) {
      widenAll<T>(held.packs, values);
    } else {
#pragma unroll
      for (int i = 0; i < kColumns; i++) values[i] = widen(held.elements[i]);
    }
  }
  __device__ void store(T* row, bool aligned, bool present, const Compute<T> (&values)[kColumns]) const {
    if constexpr (kPacked) {
      Words packs[kColumns / kPackWidth<T>];
      narrowAll<T>(values, packs);
      RowPacks<T, int>(0, size, aligned, present).store(row, lane, lanes, packs);
    } else {
#pragma unroll
      for (int i = 0; i < kColumns; i++)
        if (present && has(i)) row[at(i)] = narrow<T>(values[i]);
    }
  }
};

/// Whether there are registers for a row while another is worked on.
template <typename T, bool kPacked>
constexpr bool kLoadsAhead = kPacked && sizeof(T) < 8;

/// With h = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean(g) - h mean(g h)), without mean(g) where not centred;
/// dgamma adds up dy h, dbeta dy. Each group of threads walks rows.
template <bool kCentred, bool kPacked, typename T>
__global__ __launch_bounds__((kMostThreads<T, kPacked>),
                             kLeastRowBlocks<T>) void normGradHeld(const __grid_constant__ NormGradOperands<T> operands,
                                                                   int lanes) {
  using C = Compute<T>;
  constexpr bool kAhead = kLoadsAhead<T, kPacked>;
  __shared__ C scratch[64];
  __shared__ C stage[kWarpRowThreads * kColumns];
  const Group group(lanes);
  const int size = static_cast<int>(operands.size);
  const Columns<T, kPacked> columns{size, group.lane, lanes};
  const C share = C(1) / static_cast<C>(size);
  C dgamma[kColumns] = {}, dbeta[kCentred ? kColumns : 1] = {};

  const int64_t step = int64_t{gridDim.x} * group.perBlock;
  int64_t index = int64_t{blockIdx.x} * group.perBlock + group.index;
  struct Row {
    typename Columns<T, kPacked>::Held dy, x;
    C mean, rstd;
  };
  const auto load = [&](int64_t row) {
    const bool present = row < operands.rows;
    const int64_t start = present ? row * size : 0;
    Row loaded;
    loaded.dy = columns.load(operands.dy + start, operands.aligned, present);
    loaded.x = columns.load(operands.x + start, operands.aligned, present);
    loaded.mean = kCentred && present ? operands.mean[row] : C(0);
    loaded.rstd = present ? operands.rstd[row] : C(0);
    return loaded;
  };
  Row next;
  if constexpr (kAhead) next = load(index);
  for (int64_t first = int64_t{blockIdx.x} * group.perBlock; first < operands.rows; first += step, index += step) {
    const Row row = kAhead ? next : load(index);
    if constexpr (kAhead) next = load(index + step);
    C dy[kColumns], h[kColumns], gamma[kColumns];
    // From the cache each time, for registers are scarce.
    columns.values(columns.load(operands.gamma, operands.weightsAligned, true), gamma);
    columns.values(row.dy, dy);
    columns.values(row.x, h);
    C sums[kCentred ? 2 : 1] = {};
#pragma unroll
    for (int i = 0; i < kColumns; i++) {
      h[i] = (h[i] - row.mean) * row.rstd;
      dgamma[i] += dy[i] * h[i];
      if constexpr (kCentred) dbeta[i] += dy[i];
      dy[i] *= gamma[i];
      sums[0] += dy[i] * h[i];
      if constexpr (kCentred) sums[1] += dy[i];
    }
    groupReduce<Sum>(sums, C(0), lanes, scratch);
    const C product = sums[0] * share, middle = kCentred ? sums[kCentred ? 1 : 0] * share : C(0);
#pragma unroll
    for (int i = 0; i < kColumns; i++) dy[i] = (dy[i] - middle - h[i] * product) * row.rstd;
    const bool present = index < operands.rows;
    columns.store(operands.dx + (present ? index * size : 0), operands.aligned, present, dy);
  }

  // The groups of a block are added up before anything goes to memory.
  const auto write = [&](C* parts, const auto& sums) {
    C* part = parts + int64_t{blockIdx.x} * size;
    if (group.perBlock == 1) {
#pragma unroll
      for (int i = 0; i < kColumns; i++)
        if (columns.has(i)) part[columns.at(i)] = sums[i];
      return;
    }
    const int padded = lanes * kColumns;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kColumns; i++) stage[group.index * padded + columns.at(i)] = sums[i];
    __syncthreads();
    for (int column = threadIdx.x; column < size; column += blockDim.x) {
      C sum = 0;
      for (int other = 0; other < group.perBlock; other++) sum += stage[other * padded + column];
      part[column] = sum;
    }
  };
  write(operands.gammaParts, dgamma);
  if constexpr (kCentred) write(operands.betaParts, dbeta);
}

/// The same for rows that no block holds: they are read twice, the sums of the weights' gradients lie in memory.
template <bool kCentred, typename T>
__global__ __launch_bounds__(kMostRowThreads, kLeastRowBlocks<T>) void normGradWalked(
    const __grid_constant__ NormGradOperands<T> operands, int lanes) {
  using C = Compute<T>;
  __shared__ C scratch[64];
  const int64_t size = operands.size;
  const C share = C(1) / static_cast<C>(size);
  C* dgamma = operands.gammaParts + int64_t{blockIdx.x} * size;
  C* dbeta = operands.betaParts + int64_t{blockIdx.x} * size;
  for (int64_t index = blockIdx.x; index < operands.rows; index += gridDim.x) {
    const T *dy = operands.dy + index * size, *x = operands.x + index * size;
    const C mean = kCentred ? operands.mean[index] : C(0), rstd = operands.rstd[index];
    C sums[kCentred ? 2 : 1] = {};
#pragma unroll 4
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
      const C g = widen(dy[i]) * widen(operands.gamma[i]);
      sums[0] += g * ((widen(x[i]) - mean) * rstd);
      if constexpr (kCentred) sums[1] += g;
    }
    groupReduce<Sum>(sums, C(0), lanes, scratch);
    const C product = sums[0] * share, middle = kCentred ? sums[kCentred ? 1 : 0] * share : C(0);
    const bool begins = index == blockIdx.x;
#pragma unroll 4
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
      const C slope = widen(dy[i]), h = (widen(x[i]) - mean) * rstd;
      operands.dx[index * size + i] = narrow<T>((slope * widen(operands.gamma[i]) - middle - h * product) * rstd);
      dgamma[i] = (begins ? C(0) : dgamma[i]) + slope * h;
      if constexpr (kCentred) dbeta[i] = (begins ? C(0) : dbeta[i]) + slope;
    }
  }
}

/// Sums of `count` rows of columns, for gamma and, in a second row of blocks, beta.
template <typename T>
__global__ void addParts(const Compute<T>* gammaParts, const Compute<T>* betaParts, int count, int64_t size, T* dgamma,
                         T* dbeta) {
  using C = Compute<T>;
  __shared__ C stage[16][32];
  const C* parts = blockIdx.y == 0 ? gammaParts : betaParts;
  T* result = blockIdx.y == 0 ? dgamma : dbeta;
  const int64_t column = int64_t{blockIdx.x} * 32 + threadIdx.x;
  C sum = 0;
  if (column < size)
#pragma unroll 4
    for (int part = threadIdx.y; part < count; part += 16) sum += parts[part * size + column];
  stage[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= size) return;
#pragma unroll
  for (int i = 1; i < 16; i++) sum += stage[i][threadIdx.x];
  result[column] = narrow<T>(sum);
}

template <bool kCentred, typename T>
class NormGrad : public Kernel {
  using C = Compute<T>;

 public:
  explicit NormGrad(NormRows rows) : rows_(rows) {
    packed_ = rows.size % kPackWidth<T> == 0;
    held_ = rows.size <= int64_t{packed_ ? kMostThreads<T, true> : kMostThreads<T, false>} * kColumns;
    share_ = held_ ? shareOf((rows.size + kColumns - 1) / kColumns, 1) : RowShare{1, kMostRowThreads};
    const int64_t blocks = (rows.count + share_.rowsPerBlock() - 1) / share_.rowsPerBlock();
    parts_ = std::min(blocks, kThreads / share_.threads());
  }

  size_t workspaceBytes() const override {
    return static_cast<size_t>(parts_ * rows_.size * (kCentred ? 2 : 1)) * sizeof(C);
  }

  void run(const RunOperands& run) override {
    NormGradOperands<T> operands{};
    operands.dy = static_cast<const T*>(run.inputs[0]);
    operands.x = static_cast<const T*>(run.inputs[1]);
    operands.gamma = static_cast<const T*>(run.inputs[2]);
    operands.mean = kCentred ? static_cast<const C*>(run.inputs[3]) : nullptr;
    operands.rstd = static_cast<const C*>(run.inputs[kCentred ? 4 : 3]);
    operands.dx = static_cast<T*>(run.outputs[0]);
    operands.gammaParts = static_cast<C*>(run.workspace);
    operands.betaParts = operands.gammaParts + parts_ * rows_.size;
    operands.rows = rows_.count;
    operands.size = rows_.size;
    operands.aligned = packAligned(operands.dy) && packAligned(operands.x) && packAligned(operands.dx);
    operands.weightsAligned = packAligned(operands.gamma);
    const char* name = kCentred ? "layerNormGrad" : "rmsNormGrad";
    if (rows_.size == 0) return;
    const auto kernel = !held_    ? normGradWalked<kCentred, T>
                        : packed_ ? normGradHeld<kCentred, true, T>
                                  : normGradHeld<kCentred, false, T>;
    launch(name, kernel, static_cast<unsigned>(parts_), share_.threads(), 0, operands, share_.lanes);
    launch(name, addParts<T>, dim3(static_cast<unsigned>((rows_.size + 31) / 32), kCentred ? 2 : 1), dim3(32, 16), 0,
           operands.gammaParts, operands.betaParts, static_cast<int>(parts_), rows_.size,
           static_cast<T*>(run.outputs[1]), kCentred ? static_cast<T*>(run.outputs[2]) : nullptr);
  }

 private:
  const NormRows rows_;
  bool packed_;  // rows are whole packs
  bool held_;    // a block holds a row
  RowShare share_;
  int64_t parts_;  // blocks
};

std::unique_ptr<Kernel> makeLayerNormGrad(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "layerNormGrad";
  const LayerNormGradParams params = LayerNormGradParams::read(words);
  expectCount(op, in, 5, out, 3);
  const NormRows rows =
      readNormRows(op, params.axes, in, out, {&in[0], &in[1], &out[0]}, {&in[2], &out[1], &out[2]}, {&in[3], &in[4]});
  return dispatchFloat(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<NormGrad<true, typename decltype(tag)::type>>(rows);
  });
}

std::unique_ptr<Kernel> makeRmsNormGrad(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "rmsNormGrad";
  const RmsNormGradParams params = RmsNormGradParams::read(words);
  expectCount(op, in, 4, out, 2);
  const NormRows rows = readNormRows(op, params.axes, in, out, {&in[0], &in[1], &out[0]}, {&in[2], &out[1]}, {&in[3]});
  return dispatchFloat(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<NormGrad<false, typename decltype(tag)::type>>(rows);
  });
}

}  // namespace

void registerLayerNormGrad(KernelTable& table) {
  table.add(OpId::layerNormGrad, makeLayerNormGrad);
  table.add(OpId::rmsNormGrad, makeRmsNormGrad);
}

}  // namespace heddle::cuda
