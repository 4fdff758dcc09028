// Matmul of integers, which oneDNN has none for, and of no k: panels of b packed per thread, tiles of 4 rows in
// registers.
#include <omp.h>

#include <algorithm>

#include "../core/element.h"
#include "levels.h"
#include "matmul.h"
#include "onednn.h"

#define HEDDLE_LOOPS "matmul_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

constexpr int kPanel = 16;
constexpr int64_t kRowBlock = 64;

template <typename T>
class MatmulBlocked : public Kernel {
 public:
  explicit MatmulBlocked(const MatmulProblem& problem)
      : problem_(problem),
        offsetsA_(problem.offsets(problem.a)),
        offsetsB_(problem.offsets(problem.b)),
        threads_(omp_get_max_threads()),
        panelBytes_(onednn::alignUp(static_cast<size_t>(problem.k) * kPanel * sizeof(T))) {}

  size_t workspaceBytes() const override { return panelBytes_ * static_cast<size_t>(threads_); }

  void run(const RunOperands& operands) override {
    const auto* a = static_cast<const T*>(operands.inputs[0]);
    const auto* b = static_cast<const T*>(operands.inputs[1]);
    auto* out = static_cast<T*>(operands.outputs[0]);
    const auto* bias = problem_.hasBias ? static_cast<const T*>(operands.inputs[2]) : nullptr;
    const auto multiply = HEDDLE_DISPATCH(multiplyPanel<T, kPanel>);
    const int64_t m = problem_.m, n = problem_.n, k = problem_.k;
    const int64_t panels = (n + kPanel - 1) / kPanel;
    const int64_t rowBlocks = (m + kRowBlock - 1) / kRowBlock;
    const int64_t blocks = static_cast<int64_t>(offsetsA_.size()) * panels * rowBlocks;
    const bool parallel = blocks > 1 && blocks * kPanel * kRowBlock * k > 65536;
#pragma omp parallel num_threads(threads_) if (parallel)
    {
      T* panel = reinterpret_cast<T*>(static_cast<char*>(operands.workspace) +
                                      panelBytes_ * static_cast<size_t>(omp_get_thread_num()));
      int64_t packed = -1;
#pragma omp for schedule(static)
      for (int64_t block = 0; block < blocks; block++) {
        const int64_t batch = block / (panels * rowBlocks);
        const int64_t column = block / rowBlocks % panels * kPanel;
        const int64_t row = block % rowBlocks * kRowBlock;
        const int64_t columns = std::min<int64_t>(kPanel, n - column);
        const int64_t rows = std::min(kRowBlock, m - row);
        if (packed != block / rowBlocks) {
          packed = block / rowBlocks;
          pack(b + offsetsB_[static_cast<size_t>(batch)] + column * problem_.b.columnStride, panel, columns);
        }
        T* tile = out + (batch * m + row) * n + column;
        multiply(a + offsetsA_[static_cast<size_t>(batch)] + row * problem_.a.rowStride, problem_.a.rowStride,
                 problem_.a.columnStride, panel, k, tile, n, rows, columns);
        if (bias || problem_.activation != Activation::none)
          finish(tile, bias ? bias + column : nullptr, rows, columns);
      }
    }
  }

 private:
  void pack(const T* b, T* panel, int64_t columns) const {
    const int64_t rowStride = problem_.b.rowStride, columnStride = problem_.b.columnStride;
    for (int64_t p = 0; p < problem_.k; p++)
      for (int64_t j = 0; j < kPanel; j++)
        panel[p * kPanel + j] = j < columns ? b[p * rowStride + j * columnStride] : T{0};
  }

  void finish(T* tile, const T* bias, int64_t rows, int64_t columns) const {
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j++) {
        T& value = tile[i * problem_.n + j];
        // An integer sum wraps; the conversion to unsigned keeps that defined.
        if (bias) {
          if constexpr (std::is_integral_v<T>)
            value = static_cast<T>(static_cast<uint64_t>(value) + static_cast<uint64_t>(bias[j]));
          else
            value += bias[j];
        }
        if constexpr (std::is_integral_v<T>)
          value = problem_.activation == Activation::relu ? std::max<T>(value, 0) : value;
        else
          value = static_cast<T>(activate(problem_.activation, value));
      }
  }

  MatmulProblem problem_;
  std::vector<int64_t> offsetsA_, offsetsB_;
  int threads_;
  size_t panelBytes_;
};

}  // namespace

std::unique_ptr<Kernel> makeMatmulBlocked(const MatmulProblem& problem) {
  switch (problem.dtype) {
    case DType::f32: return std::make_unique<MatmulBlocked<float>>(problem);
    case DType::f64: return std::make_unique<MatmulBlocked<double>>(problem);
    case DType::i8: return std::make_unique<MatmulBlocked<int8_t>>(problem);
    case DType::u8: return std::make_unique<MatmulBlocked<uint8_t>>(problem);
    case DType::i32: return std::make_unique<MatmulBlocked<int32_t>>(problem);
    case DType::i64: return std::make_unique<MatmulBlocked<int64_t>>(problem);
    default: throwUnsupported("matmul", problem.dtype);
  }
}

}  // namespace heddle
