// Ops attention and attentionGrad: chooses between cuDNN's engines and kernels of our own; native/cpu/attention.cpp is
// what they mean.
#include "../core/attention_problem.h"

#include "attention.h"
#include "attention_choice.h"
#include "kernels.h"

namespace heddle::cuda {
namespace {

/// Kernels count with 32 bits, with room for a tile behind the end.
constexpr int64_t kMostExtent = int64_t{1} << 30;

void checkExtents(const char* op, const AttentionProblem& p) {
  for (int64_t extent : {p.batch, p.heads, p.queries, p.keys})
    if (extent > kMostExtent)
      throw Error(ErrorCode::unsupported, std::string(op) + ": on CUDA no extent may be above 2^30, but one is " +
                                              std::to_string(extent) + "; use the CPU");
  // Every kernel has at most a block for 16 rows of each head.
  const double rows = static_cast<double>(std::max(p.queries, p.keys) / 16 + 1);
  if (static_cast<double>(p.batch) * static_cast<double>(p.heads) * rows > 0x1p31 - 1)
    throw Error(
        ErrorCode::unsupported,
        std::string(op) + ": on CUDA that many heads of that length are too many for one grid; split the batch");
  const int64_t width = std::max(p.width, p.valueWidth);
  if (width > kWidestHead)
    throw Error(ErrorCode::unsupported, std::string(op) + ": on CUDA heads may be up to " +
                                            std::to_string(kWidestHead) + " wide, not " + std::to_string(width) +
                                            "; compose it of matmul and softmax, or use the CPU");
}

/// What a kernel touches of an operand, from its first element to its last.
TrialOperand operandOf(const AttentionProblem& p, int64_t heads, int64_t length, int64_t width,
                       const HeadStrides& strides) {
  const int64_t last =
      (p.batch - 1) * strides.batch + (heads - 1) * strides.head + (length - 1) * strides.row + width - 1;
  return {p.dtype, static_cast<size_t>(last) + 1};
}

/// Says all that the time of a problem depends on.
std::string keyOf(const char* op, const AttentionProblem& p) {
  std::string key = std::string(op) + " " + heddle::nameOf(p.dtype) + (p.causal ? " causal" : "");
  for (const int64_t extent : {p.batch, p.heads, p.keyHeads, p.queries, p.keys, p.width, p.valueWidth})
    key += " " + std::to_string(extent);
  for (const HeadStrides& strides : {p.q, p.k, p.v, p.out, p.outGrad, p.qGrad, p.kGrad, p.vGrad})
    for (const int64_t stride : {strides.batch, strides.head, strides.row}) key += " " + std::to_string(stride);
  return key;
}

std::unique_ptr<Kernel> makeFastestOf(const char* op, const AttentionProblem& p, AttentionDirection direction) {
  checkExtents(op, p);
  std::vector<TrialCandidate> candidates;
  if (describable(p, direction)) candidates = attentionPlans(p, direction);
  if (candidates.empty()) return makeFlashAttention(p, direction);
  candidates.push_back({"flash", [=] { return makeFlashAttention(p, direction); }});
  const TrialOperand q = operandOf(p, p.heads, p.queries, p.width, p.q);
  const TrialOperand k = operandOf(p, p.keyHeads, p.keys, p.width, p.k);
  const TrialOperand v = operandOf(p, p.keyHeads, p.keys, p.valueWidth, p.v);
  const TrialOperand out = operandOf(p, p.heads, p.queries, p.valueWidth, p.out);
  const TrialOperand logSumExp{DType::f32, static_cast<size_t>(p.batch * p.heads * p.queries)};
  const std::string key = keyOf(op, p) + " " + dnn::version();
  if (direction == AttentionDirection::forward) return makeFastest(key, candidates, {q, k, v}, {out, logSumExp});
  return makeFastest(
      key, candidates, {q, k, v, out, logSumExp, operandOf(p, p.heads, p.queries, p.valueWidth, p.outGrad)},
      {operandOf(p, p.heads, p.queries, p.width, p.qGrad), operandOf(p, p.keyHeads, p.keys, p.width, p.kGrad),
       operandOf(p, p.keyHeads, p.keys, p.valueWidth, p.vGrad)});
}

std::unique_ptr<Kernel> makeAttention(WordReader& words, Specs inputs, Specs outputs) {
  return makeFastestOf("attention", readAttention(AttentionParams::read(words), inputs, outputs),
                       AttentionDirection::forward);
}
std::unique_ptr<Kernel> makeAttentionGrad(WordReader& words, Specs inputs, Specs outputs) {
  return makeFastestOf("attentionGrad", readAttention(AttentionGradParams::read(words), inputs, outputs),
                       AttentionDirection::grad);
}

}  // namespace

void registerAttention(KernelTable& table) {
  table.add(OpId::attention, makeAttention);
  table.add(OpId::attentionGrad, makeAttentionGrad);
}

}  // namespace heddle::cuda
