// Ops attention and attentionGrad: splits the problem over threads.
#include "attention.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels.h"
#include "levels.h"
#include "onednn.h"

#define HEDDLE_LOOPS "attention_all_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

DropoutStream streamOf(const AttentionProblem& p, const RunOperands& operands) {
  if (p.dropout == 0) return {};
  const auto* state = static_cast<const int64_t*>(operands.inputs[p.firstOperands() - 1]);
  return {static_cast<uint64_t>(state[0]),
          static_cast<uint64_t>(state[p.stateStride]) + static_cast<uint64_t>(p.offset)};
}

/// The operands of the op itself.
template <typename T>
AttentionPointers<T> pointersOf(const AttentionProblem& p, const RunOperands& operands) {
  return {static_cast<const T*>(operands.inputs[0]),
          static_cast<const T*>(operands.inputs[1]),
          static_cast<const T*>(operands.inputs[2]),
          p.hasMask ? operands.inputs[3] : nullptr,
          nullptr,
          nullptr,
          nullptr,
          streamOf(p, operands)};
}

/// So many elements in whole cache lines, for threads do not share one.
template <typename C>
int64_t wholeLines(int64_t elements) {
  constexpr int64_t line = 64 / sizeof(C);
  return blocksOf(elements, line) * line;
}

template <typename T>
class Attention : public Kernel {
  using C = Compute<T>;

 public:
  explicit Attention(const AttentionProblem& problem)
      : p_(problem),
        threads_(omp_get_max_threads()),
        scratch_(wholeLines<C>(HEDDLE_DISPATCH(forwardScratch<C>(problem)))) {
    const int64_t blocks = blocksOf(p_.queries, kQueryBlock);
    // Packing the keys is paid once per chunk, so heads are split only where there are too few of them.
    const int64_t heads = std::max<int64_t>(p_.batch * p_.heads, 1);
    chunks_ = heads >= 4 * threads_ ? 1 : std::min<int64_t>(blocks, blocksOf(4 * threads_, heads));
  }

  size_t workspaceBytes() const override { return static_cast<size_t>(scratch_ * threads_) * sizeof(C); }

  void run(const RunOperands& operands) override {
    const AttentionPointers<T> in = pointersOf<T>(p_, operands);
    auto* out = static_cast<T*>(operands.outputs[0]);
    auto* logSumExp = static_cast<C*>(operands.outputs[1]);
    const auto attend = HEDDLE_DISPATCH(attendHead<T, C>);
    const int64_t blocks = blocksOf(p_.queries, kQueryBlock);
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
    for (int64_t task = 0; task < p_.batch * p_.heads * chunks_; task++) {
      const int64_t head = task / chunks_, chunk = task % chunks_;
      attend(p_, in, out, logSumExp, head / p_.heads, head % p_.heads, chunk * blocks / chunks_,
             (chunk + 1) * blocks / chunks_, static_cast<C*>(operands.workspace) + scratch_ * omp_get_thread_num());
    }
  }

 private:
  AttentionProblem p_;
  int threads_;
  int64_t scratch_;
  int64_t chunks_;
};

template <typename T>
class AttentionOfFewQueries : public Kernel {
  using C = Compute<T>;

 public:
  explicit AttentionOfFewQueries(const AttentionProblem& problem)
      : p_(problem),
        threads_(omp_get_max_threads()),
        spans_(blocksOf(p_.keys, kKeySpan)),
        rows_(p_.batch * p_.heads * p_.queries),
        part_(HEDDLE_DISPATCH(spanPart<C>(problem))),
        scratch_(wholeLines<C>(HEDDLE_DISPATCH(fewQueriesScratch<C>(problem)))) {}

  size_t workspaceBytes() const override {
    return static_cast<size_t>(scratch_ * threads_ + rows_ * spans_ * part_) * sizeof(C);
  }

  void run(const RunOperands& operands) override {
    const AttentionPointers<T> in = pointersOf<T>(p_, operands);
    auto* out = static_cast<T*>(operands.outputs[0]);
    auto* logSumExp = static_cast<C*>(operands.outputs[1]);
    C* scratch = static_cast<C*>(operands.workspace);
    C* parts = scratch + scratch_ * threads_;
    const auto attend = HEDDLE_DISPATCH(attendSpan<T, C>);
    const auto join = HEDDLE_DISPATCH(joinSpans<T, C>);
    const int64_t groupRows = p_.groupSize() * p_.queries;
#pragma omp parallel num_threads(threads_) if (rows_ * p_.keys * (p_.width + p_.valueWidth) > 32768)
    {
#pragma omp for schedule(dynamic)
      for (int64_t task = 0; task < p_.batch * p_.keyHeads * spans_; task++) {
        const int64_t group = task / spans_, span = task % spans_;
        attend(p_, in, group / p_.keyHeads, group % p_.keyHeads, span * kKeySpan,
               std::min((span + 1) * kKeySpan, p_.keys), parts + (group * groupRows * spans_ + span) * part_,
               spans_ * part_, scratch + scratch_ * omp_get_thread_num());
      }
#pragma omp for schedule(static)
      for (int64_t row = 0; row < rows_; row++) {
        const int64_t query = row % p_.queries, head = row / p_.queries % p_.heads;
        const int64_t batch = row / p_.queries / p_.heads;
        join(p_, parts + row * spans_ * part_, spans_,
             out + batch * p_.out.batch + head * p_.out.head + query * p_.out.row,
             logSumExp + batch * p_.statisticStrides[0] + head * p_.statisticStrides[1] +
                 query * p_.statisticStrides[2]);
      }
    }
  }

 private:
  AttentionProblem p_;
  int threads_;
  int64_t spans_, rows_, part_, scratch_;
};

template <typename T>
class AttentionGrad : public Kernel {
  using C = Compute<T>;

 public:
  explicit AttentionGrad(const AttentionProblem& problem)
      : p_(problem),
        threads_(omp_get_max_threads()),
        scratch_(wholeLines<C>(HEDDLE_DISPATCH(backwardScratch<C>(problem)))) {}

  size_t workspaceBytes() const override { return static_cast<size_t>(scratch_ * threads_) * sizeof(C); }

  void run(const RunOperands& operands) override {
    const size_t next = p_.firstOperands();
    const AttentionPointers<T> in{
        static_cast<const T*>(operands.inputs[0]),        static_cast<const T*>(operands.inputs[1]),
        static_cast<const T*>(operands.inputs[2]),        p_.hasMask ? operands.inputs[3] : nullptr,
        static_cast<const T*>(operands.inputs[next]),     static_cast<const C*>(operands.inputs[next + 1]),
        static_cast<const T*>(operands.inputs[next + 2]), streamOf(p_, operands)};
    auto* qGrad = static_cast<T*>(operands.outputs[0]);
    auto* kGrad = static_cast<T*>(operands.outputs[1]);
    auto* vGrad = static_cast<T*>(operands.outputs[2]);
    const auto attend = HEDDLE_DISPATCH(attendHeadGrad<T, C>);
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
    for (int64_t task = 0; task < p_.batch * p_.keyHeads; task++)
      attend(p_, in, qGrad, kGrad, vGrad, task / p_.keyHeads, task % p_.keyHeads,
             static_cast<C*>(operands.workspace) + scratch_ * omp_get_thread_num());
  }

 private:
  AttentionProblem p_;
  int threads_;
  int64_t scratch_;
};

template <template <typename> typename KernelOf>
std::unique_ptr<Kernel> makeKernel(const char* op, const AttentionProblem& problem) {
  return dispatchFloat(op, problem.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<KernelOf<typename decltype(tag)::type>>(problem);
  });
}

std::unique_ptr<Kernel> makeAttention(WordReader& words, Specs inputs, Specs outputs) {
  const AttentionProblem problem = readAttention(AttentionParams::read(words), inputs, outputs);
  return problem.queries <= kFewQueries ? makeKernel<AttentionOfFewQueries>("attention", problem)
                                        : makeKernel<Attention>("attention", problem);
}
std::unique_ptr<Kernel> makeAttentionGrad(WordReader& words, Specs inputs, Specs outputs) {
  return makeKernel<AttentionGrad>("attentionGrad", readAttention(AttentionGradParams::read(words), inputs, outputs));
}

}  // namespace

void registerAttention(KernelTable& table) {
  table.add(OpId::attention, makeAttention);
  table.add(OpId::attentionGrad, makeAttentionGrad);
}

}  // namespace heddle
