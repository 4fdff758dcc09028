// The graphs that attention and its gradient are.
#include <string>
#include <vector>

#include "../../core/element.h"
#include "../../cuda/attention_graph.h"
#include "plans.h"

namespace heddle::test {
namespace {

using cuda::AttentionDirection;

struct Shape {
  int64_t heads, keyHeads, queries, keys, width, valueWidth;
};

const Shape kShapes[] = {
    {16, 16, 1024, 1024, 64, 64}, {16, 16, 4096, 4096, 128, 128}, {12, 12, 1024, 1024, 80, 80},
    {16, 4, 1024, 1024, 64, 64},  {32, 8, 4096, 4096, 128, 128},  {8, 1, 512, 512, 128, 128},
    {4, 4, 77, 77, 64, 64},       {4, 4, 64, 192, 64, 64},        {4, 2, 77, 300, 128, 128},
    {4, 4, 1, 1024, 128, 128},    {4, 4, 1024, 77, 64, 64},       {4, 4, 256, 256, 32, 32},
    {4, 4, 256, 256, 8, 8},       {4, 4, 256, 256, 96, 96},       {4, 4, 256, 256, 192, 128},
    {4, 4, 256, 256, 256, 256},   {4, 4, 3, 5, 64, 64},
};

AttentionProblem problemOf(const Shape& s, DType dtype, bool causal, bool interleaved) {
  AttentionProblem p{};
  p.dtype = dtype;
  p.batch = 2;
  p.heads = s.heads;
  p.keyHeads = s.keyHeads;
  p.queries = s.queries;
  p.keys = s.keys;
  p.width = s.width;
  p.valueWidth = s.valueWidth;
  p.scale = 0.125;
  p.causal = causal;
  p.keptScale = 1;
  // Heads after each other, or beside each other in the rows of one matrix, as a transformer block makes them.
  const auto rows = [&](int64_t heads, int64_t length, int64_t width) {
    return interleaved ? HeadStrides{length * heads * width, width, heads * width}
                       : HeadStrides{heads * length * width, length * width, width};
  };
  p.q = p.qGrad = rows(s.heads, s.queries, s.width);
  p.k = p.kGrad = rows(s.keyHeads, s.keys, s.width);
  p.v = p.vGrad = rows(s.keyHeads, s.keys, s.valueWidth);
  p.out = p.outGrad = rows(s.heads, s.queries, s.valueWidth);
  p.statisticStrides[0] = s.heads * s.queries;
  p.statisticStrides[1] = s.queries;
  p.statisticStrides[2] = 1;
  return p;
}

Planned planOf(const AttentionProblem& problem, AttentionDirection direction) {
  return planWith(cuda::enginesOf(problem, direction),
                  [&](const cuda::dnn::Engine& engine) { const cuda::AttentionPlan plan(problem, direction, engine); });
}

}  // namespace

std::vector<PlannedCase> attentions() {
  std::vector<PlannedCase> cases;
  for (const Shape& s : kShapes)
    for (const DType dtype : {DType::bf16, DType::f16})
      for (const bool causal : {false, true})
        for (const AttentionDirection direction : {AttentionDirection::forward, AttentionDirection::grad}) {
          const bool interleaved = dtype == DType::bf16;
          const AttentionProblem problem = problemOf(s, dtype, causal, interleaved);
          if (!cuda::describable(problem, direction)) continue;
          std::string name = direction == AttentionDirection::forward ? "attention " : "attentionGrad ";
          name += nameOf(dtype);
          for (const int64_t extent : {s.heads, s.keyHeads, s.queries, s.keys, s.width, s.valueWidth})
            name += " " + std::to_string(extent);
          if (causal) name += " causal";
          if (interleaved) name += " interleaved";
          cases.push_back({std::move(name), [=] { return planOf(problem, direction); }});
        }
  return cases;
}

}  // namespace heddle::test
