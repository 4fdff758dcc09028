// Ops attention and attentionGrad: reads the problem, splits it over threads.
#include "attention.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "../core/check.h"
#include "kernels.h"
#include "levels.h"
#include "onednn.h"

#define HEDDLE_LOOPS "attention_all_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

/// q, k, v, and where there are any a mask and a generator's state, which stands last.
template <typename Given>
size_t firstOperands(const Given& given) {
  return size_t{3} + (given.hasMask ? 1 : 0) + (given.dropout > 0 ? 1 : 0);
}

HeadStrides stridesOf(const TensorSpec& spec) { return {spec.strides[0], spec.strides[1], spec.strides[2]}; }

void readMask(const char* op, AttentionProblem& p, const TensorSpec& mask, Specs inputs, Specs outputs) {
  const int64_t extents[] = {p.batch, p.heads, p.queries, p.keys};
  const size_t rank = mask.shape.size();
  expect(rank <= 4 && (mask.dtype == DType::bool_ || isFloat(mask.dtype)), op,
         "a bool or float mask that broadcasts to [B,H,T,S]", inputs, outputs);
  p.maskType = mask.dtype;
  for (size_t i = 0; i < rank; i++) {
    const size_t axis = 4 - rank + i;
    expect(mask.shape[i] == extents[axis] || mask.shape[i] == 1, op, "a mask that broadcasts to [B,H,T,S]", inputs,
           outputs);
    p.maskStrides[axis] = mask.shape[i] == 1 ? 0 : mask.strides[i];
  }
}

template <typename Params>
AttentionProblem readProblem(const char* op, const Params& params, Specs inputs, Specs outputs) {
  for (size_t i = 0; i < 3; i++)
    expect(inputs[i].shape.size() == 4 && inputs[i].dtype == inputs[0].dtype, op, "q, k, v of rank 4 and one dtype",
           inputs, outputs);
  const TensorSpec &q = inputs[0], &k = inputs[1], &v = inputs[2];
  AttentionProblem p{};
  p.batch = q.shape[0];
  p.heads = q.shape[1];
  p.queries = q.shape[2];
  p.width = q.shape[3];
  p.keyHeads = k.shape[1];
  p.keys = k.shape[2];
  p.valueWidth = v.shape[3];
  p.scale = params.scale;
  p.causal = params.causal;
  p.hasMask = params.hasMask;
  p.dropout = params.dropout;
  p.offset = params.offset;
  p.keptScale = 1 / (1 - params.dropout);
  p.q = stridesOf(q);
  p.k = stridesOf(k);
  p.v = stridesOf(v);
  expect(k.shape == std::vector<int64_t>({p.batch, p.keyHeads, p.keys, p.width}) &&
             v.shape == std::vector<int64_t>({p.batch, p.keyHeads, p.keys, p.valueWidth}) &&
             (p.keyHeads > 0 ? p.heads % p.keyHeads == 0 : p.heads == 0),
         op, "q [B,H,T,D], k [B,Hkv,S,D], v [B,Hkv,S,Dv] with H a multiple of Hkv", inputs, outputs);
  if (p.hasMask) readMask(op, p, inputs[3], inputs, outputs);
  expect(p.dropout >= 0 && p.dropout < 1, op, "a dropout from 0 up to, but not, 1", inputs, outputs);
  if (p.dropout > 0) {
    const TensorSpec& state = inputs[firstOperands(p) - 1];
    expect(state.dtype == DType::i64 && state.shape == std::vector<int64_t>{2}, op,
           "a generator's state i64[2] behind the mask", inputs, outputs);
    p.stateStride = state.strides[0];
    p.dropLimit = static_cast<int32_t>(std::ceil(static_cast<float>(p.dropout) * 0x1p24f));
  }
  return p;
}

DropoutStream streamOf(const AttentionProblem& p, const RunOperands& operands) {
  if (p.dropout == 0) return {};
  const auto* state = static_cast<const int64_t*>(operands.inputs[firstOperands(p) - 1]);
  return {static_cast<uint64_t>(state[0]),
          static_cast<uint64_t>(state[p.stateStride]) + static_cast<uint64_t>(p.offset)};
}

bool lastAxisDense(const TensorSpec& spec) { return spec.shape[3] <= 1 || spec.strides[3] == 1; }

void checkOperand(const char* op, const TensorSpec& spec, std::vector<int64_t> shape, DType dtype, Specs inputs,
                  Specs outputs) {
  expect(spec.dtype == dtype && spec.shape == shape && (shape.size() != 4 || lastAxisDense(spec)), op,
         std::string(nameOf(dtype)) + formatList(shape) + " with stride 1 in the last axis", inputs, outputs);
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
    const AttentionPointers<T> in{static_cast<const T*>(operands.inputs[0]),
                                  static_cast<const T*>(operands.inputs[1]),
                                  static_cast<const T*>(operands.inputs[2]),
                                  p_.hasMask ? operands.inputs[3] : nullptr,
                                  nullptr,
                                  nullptr,
                                  nullptr,
                                  streamOf(p_, operands)};
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
class AttentionGrad : public Kernel {
  using C = Compute<T>;

 public:
  explicit AttentionGrad(const AttentionProblem& problem)
      : p_(problem),
        threads_(omp_get_max_threads()),
        scratch_(wholeLines<C>(HEDDLE_DISPATCH(backwardScratch<C>(problem)))) {}

  size_t workspaceBytes() const override { return static_cast<size_t>(scratch_ * threads_) * sizeof(C); }

  void run(const RunOperands& operands) override {
    const size_t next = firstOperands(p_);
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

std::unique_ptr<Kernel> makeAttention(WordReader& words, Specs inputs, Specs outputs) {
  constexpr const char* op = "attention";
  const AttentionParams params = AttentionParams::read(words);
  expectCount(op, inputs, firstOperands(params), outputs, 2);
  AttentionProblem p = readProblem(op, params, inputs, outputs);
  return dispatchFloat(op, inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    const DType statistic = std::is_same_v<T, double> ? DType::f64 : DType::f32;
    for (size_t i = 0; i < 3; i++) checkOperand(op, inputs[i], inputs[i].shape, inputs[0].dtype, inputs, outputs);
    checkOperand(op, outputs[0], {p.batch, p.heads, p.queries, p.valueWidth}, inputs[0].dtype, inputs, outputs);
    checkOperand(op, outputs[1], {p.batch, p.heads, p.queries}, statistic, inputs, outputs);
    p.out = stridesOf(outputs[0]);
    std::copy_n(outputs[1].strides.begin(), 3, p.statisticStrides);
    return std::make_unique<Attention<T>>(p);
  });
}

std::unique_ptr<Kernel> makeAttentionGrad(WordReader& words, Specs inputs, Specs outputs) {
  constexpr const char* op = "attentionGrad";
  const AttentionGradParams params = AttentionGradParams::read(words);
  const size_t next = firstOperands(params);
  expectCount(op, inputs, next + 3, outputs, 3);
  AttentionProblem p = readProblem(op, params, inputs, outputs);
  return dispatchFloat(op, inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    const DType dtype = inputs[0].dtype;
    const DType statistic = std::is_same_v<T, double> ? DType::f64 : DType::f32;
    const std::vector<int64_t> shape = {p.batch, p.heads, p.queries, p.valueWidth};
    for (size_t i = 0; i < 3; i++) {
      checkOperand(op, inputs[i], inputs[i].shape, dtype, inputs, outputs);
      checkOperand(op, outputs[i], inputs[i].shape, dtype, inputs, outputs);
    }
    checkOperand(op, inputs[next], shape, dtype, inputs, outputs);
    checkOperand(op, inputs[next + 1], {p.batch, p.heads, p.queries}, statistic, inputs, outputs);
    checkOperand(op, inputs[next + 2], shape, dtype, inputs, outputs);
    p.out = stridesOf(inputs[next]);
    p.outGrad = stridesOf(inputs[next + 2]);
    p.qGrad = stridesOf(outputs[0]);
    p.kGrad = stridesOf(outputs[1]);
    p.vGrad = stridesOf(outputs[2]);
    std::copy_n(inputs[next + 1].strides.begin(), 3, p.statisticStrides);
    return std::make_unique<AttentionGrad<T>>(p);
  });
}

}  // namespace

void registerAttention(KernelTable& table) {
  table.add(OpId::attention, makeAttention);
  table.add(OpId::attentionGrad, makeAttentionGrad);
}

}  // namespace heddle
