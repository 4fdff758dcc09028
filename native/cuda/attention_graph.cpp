// The graphs are the ones cuDNN has fused kernels for (cuDNN's documentation, "Fused Flash Attention fprop" and
// "bprop"): an engine is found by the pattern of the operations, so their order and the types between them are part of
// it.
#include "attention_graph.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace heddle::cuda {

namespace {

using Shape = std::vector<int64_t>;
using Tensor = const dnn::Descriptor&;

enum TensorId : int64_t {
  kQ = 1,
  kK,
  kV,
  kOut,
  kLogSumExp,
  kOutGrad,
  kQGrad,
  kKGrad,
  kVGrad,
  kProducts,
  kScale,
  kOne,
  kHidden,
  kQueries,
  kKeys,
  kFirstInside
};

// The gradient's engine of compute capability 10 takes the deterministic graph with these settings (the kernel's
// configuration and its stages) alone, and the heuristics do not name them. From 9.23 on knobs mean other things.
constexpr int64_t kBlackwellGradEngine = 5;
constexpr std::array<dnn::Knob, 2> kDeterministicKnobs{{{dnn::kKnobKernel, 31}, {dnn::kKnobStages, 2}}};
constexpr size_t kFirstOtherKnobs = 92300;

// Elements of 16 bits in 16 bytes.
constexpr int64_t kPack = 8;

const float kMinusInfinity = -std::numeric_limits<float>::infinity();
const float kUnit = 1;

Shape packed(const Shape& shape) {
  Shape strides(shape.size());
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) strides[axis] = step;
  return strides;
}

/// Strides of an operand of features; those of axes of extent 1, which may be anything, are those of gapless memory.
Shape stridesOf(const Shape& shape, const HeadStrides& given) {
  Shape strides = packed(shape);
  const int64_t own[] = {given.batch, given.head, given.row};
  for (size_t axis = 0; axis < 3; axis++)
    if (shape[axis] > 1) strides[axis] = own[axis];
  return strides;
}

Shape transposed(Shape list) {
  std::swap(list[2], list[3]);
  return list;
}

/// What both graphs are made of.
class Builder {
 public:
  Builder(const AttentionProblem& problem, dnn::Graph& graph)
      : p_(problem), graph_(graph), type_(dnn::typeOf("attention", problem.dtype)) {}

  int type() const { return type_; }
  Shape scores() const { return {p_.batch, p_.heads, p_.queries, p_.keys}; }
  Shape rows() const { return {p_.batch, p_.heads, p_.queries, 1}; }

  Tensor features(int64_t id, int64_t heads, int64_t length, int64_t width, const HeadStrides& strides,
                  bool turned = false) {
    const Shape shape{p_.batch, heads, length, width};
    const Shape own = stridesOf(shape, strides);
    return turned ? graph_.tensor(id, type_, transposed(shape), transposed(own)) : graph_.tensor(id, type_, shape, own);
  }
  Tensor inside(const Shape& shape, int type) { return inside(shape, packed(shape), type); }
  Tensor inside(const Shape& shape, const Shape& strides, int type) {
    return graph_.tensor(next_++, type, shape, strides, dnn::Place::inside);
  }
  Tensor value(int64_t id, int type) { return graph_.tensor(id, type, {1, 1, 1, 1}, {1, 1, 1, 1}, dnn::Place::value); }
  Tensor statistic(int64_t id) { return graph_.tensor(id, dnn::kFloat, rows(), packed(rows())); }

  /// c = a b.
  Tensor product(Tensor a, Tensor b, Tensor c) {
    dnn::Descriptor& how = graph_.make(dnn::kProduct);
    how.setEnum(dnn::kProductPrecision, dnn::kTypeDataType, dnn::kFloat);
    how.finalize();
    dnn::Descriptor& operation = graph_.make(dnn::kProductOperation);
    operation.setDescriptor(dnn::kProductA, a);
    operation.setDescriptor(dnn::kProductB, b);
    operation.setDescriptor(dnn::kProductC, c);
    operation.setDescriptor(dnn::kProductDescriptor, how);
    graph_.add(operation);
    return c;
  }

  /// y = x mode b, or x where `condition` and b elsewhere.
  Tensor pointwise(int mode, Tensor x, const dnn::Descriptor* b, Tensor y, int precision = dnn::kFloat,
                   int64_t axis = -1, const dnn::Descriptor* condition = nullptr) {
    dnn::Descriptor& how = graph_.make(dnn::kPointwise);
    how.setEnum(dnn::kPointwiseMode, dnn::kTypePointwiseMode, mode);
    how.setEnum(dnn::kPointwisePrecision, dnn::kTypeDataType, precision);
    if (axis >= 0) how.setInteger(dnn::kPointwiseAxis, axis);
    how.finalize();
    dnn::Descriptor& operation = graph_.make(dnn::kPointwiseOperation);
    operation.setDescriptor(dnn::kPointwiseDescriptor, how);
    operation.setDescriptor(dnn::kPointwiseX, x);
    if (b) operation.setDescriptor(dnn::kPointwiseB, *b);
    if (condition) operation.setDescriptor(dnn::kPointwiseCondition, *condition);
    operation.setDescriptor(dnn::kPointwiseY, y);
    graph_.add(operation);
    return y;
  }

  /// Over the axes that y has one element of.
  Tensor reduce(int operation, Tensor x, Tensor y) {
    dnn::Descriptor& how = graph_.make(dnn::kReduction);
    how.setEnum(dnn::kReductionPrecision, dnn::kTypeDataType, dnn::kFloat);
    how.setEnum(dnn::kReductionOperator, dnn::kTypeReduction, operation);
    how.finalize();
    dnn::Descriptor& made = graph_.make(dnn::kReductionOperation);
    made.setDescriptor(dnn::kReductionDescriptor, how);
    made.setDescriptor(dnn::kReductionX, x);
    made.setDescriptor(dnn::kReductionY, y);
    graph_.add(made);
    return y;
  }

  /// The same memory with other axes.
  Tensor reshape(Tensor x, Tensor y) {
    dnn::Descriptor& operation = graph_.make(dnn::kReshapeOperation);
    operation.setDescriptor(dnn::kReshapeX, x);
    operation.setDescriptor(dnn::kReshapeY, y);
    graph_.add(operation);
    return y;
  }

  Tensor scaled(Tensor scores, Tensor scale) {
    return pointwise(dnn::kPointwiseMultiply, scores, &scale, inside(this->scores(), dnn::kFloat));
  }

  /// Minus infinity where causality hides a key: query i sees key j where i + S - T >= j.
  Tensor hidden(Tensor scores) {
    const Shape shape = this->scores();
    const dnn::Descriptor* row =
        &pointwise(dnn::kPointwiseIndex, scores, nullptr, inside(shape, dnn::kInt32), dnn::kFloat, 2);
    Tensor column = pointwise(dnn::kPointwiseIndex, scores, nullptr, inside(shape, dnn::kInt32), dnn::kFloat, 3);
    if (p_.queries != p_.keys) {
      Tensor keys = value(kKeys, dnn::kInt32);
      Tensor queries = value(kQueries, dnn::kInt32);
      row = &pointwise(dnn::kPointwiseAdd, *row, &keys, inside(shape, dnn::kInt32), dnn::kInt32, 3);
      row = &pointwise(dnn::kPointwiseSubtract, *row, &queries, inside(shape, dnn::kInt32), dnn::kInt32, 3);
    }
    Tensor sees = pointwise(dnn::kPointwiseNotLess, *row, &column, inside(shape, dnn::kBoolean), dnn::kBoolean);
    Tensor nothing = value(kHidden, dnn::kFloat);
    return pointwise(dnn::kPointwiseSelect, scores, &nothing, inside(shape, dnn::kFloat), dnn::kFloat, -1, &sees);
  }

 private:
  const AttentionProblem& p_;
  dnn::Graph& graph_;
  int type_;
  int64_t next_ = kFirstInside;
};

/// out = softmax(q k^T scale) v, and the logarithms of the rows' sums: their largest score plus the logarithm of the
/// sum of the exponentials above it.
void buildForward(const AttentionProblem& p, Builder& b) {
  const Shape shape = b.scores(), rows = b.rows();
  Tensor q = b.features(kQ, p.heads, p.queries, p.width, p.q);
  Tensor k = b.features(kK, p.keyHeads, p.keys, p.width, p.k, true);
  Tensor v = b.features(kV, p.keyHeads, p.keys, p.valueWidth, p.v);
  Tensor scaled = b.scaled(b.product(q, k, b.inside(shape, dnn::kFloat)), b.value(kScale, dnn::kFloat));
  Tensor scores = p.causal ? b.hidden(scaled) : scaled;
  Tensor largest = b.reduce(dnn::kReduceMaximum, scores, b.inside(rows, dnn::kFloat));
  Tensor below = b.pointwise(dnn::kPointwiseSubtract, scores, &largest, b.inside(shape, dnn::kFloat));
  Tensor powers = b.pointwise(dnn::kPointwiseExponential, below, nullptr, b.inside(shape, dnn::kFloat));
  Tensor sums = b.reduce(dnn::kReduceAdd, powers, b.inside(rows, dnn::kFloat));
  Tensor logarithms = b.pointwise(dnn::kPointwiseLogarithm, sums, nullptr, b.inside(rows, dnn::kFloat));
  b.pointwise(dnn::kPointwiseAdd, largest, &logarithms, b.statistic(kLogSumExp));
  Tensor weights = b.pointwise(dnn::kPointwiseDivide, powers, &sums, b.inside(shape, b.type()));
  b.product(weights, v, b.features(kOut, p.heads, p.queries, p.valueWidth, p.out));
}

/// Heads of queries that share one of keys: each has its own gradient, and their sum in f32 is the key head's. The
/// addends have 16 bits: not every engine that says it takes f32 for them compiles then.
void buildSharedProduct(const AttentionProblem& p, Builder& b, Tensor weights, Tensor rows, int64_t width,
                        Tensor grad) {
  if (p.heads == p.keyHeads) {
    b.product(weights, rows, grad);
    return;
  }
  const Shape all{p.batch, p.heads, p.keys, width};
  b.reduce(dnn::kReduceAdd, b.product(weights, rows, b.inside(all, b.type())), grad);
}

/// FlashAttention-2's gradient (Dao 2023, algorithm 2): with P the weights, dP = dO v^T and D the rows' sums of dO * O,
/// dV = P^T dO, dS = P * (dP - D) scale, dK = dS^T q, dQ = dS k. dQ is the product itself, not what blocks of keys add
/// up in any order: that is the graph of the deterministic kernels.
void buildGrad(const AttentionProblem& p, Builder& b) {
  const Shape shape = b.scores(), rows = b.rows(), turned = transposed(shape);
  const Shape turnedStrides = transposed(packed(shape));
  Tensor q = b.features(kQ, p.heads, p.queries, p.width, p.q);
  Tensor k = b.features(kK, p.keyHeads, p.keys, p.width, p.k, true);
  Tensor v = b.features(kV, p.keyHeads, p.keys, p.valueWidth, p.v, true);
  Tensor out = b.features(kOut, p.heads, p.queries, p.valueWidth, p.out);
  Tensor outGrad = b.features(kOutGrad, p.heads, p.queries, p.valueWidth, p.outGrad);
  Tensor scale = b.value(kScale, dnn::kFloat), one = b.value(kOne, dnn::kFloat);

  const Shape wide{p.batch, p.heads, p.queries, p.valueWidth};
  Tensor both = b.pointwise(dnn::kPointwiseMultiply, outGrad, &out, b.inside(wide, dnn::kFloat));
  Tensor summed = b.reduce(dnn::kReduceAdd, both, b.inside(rows, dnn::kFloat));
  Tensor products = b.pointwise(dnn::kPointwiseMultiply, summed, &one, b.statistic(kProducts));

  Tensor scaled = b.scaled(b.product(q, k, b.inside(shape, dnn::kFloat)), scale);
  Tensor logSumExp = b.statistic(kLogSumExp);
  Tensor below = b.pointwise(dnn::kPointwiseSubtract, scaled, &logSumExp, b.inside(shape, dnn::kFloat));
  Tensor seen = p.causal ? b.hidden(below) : below;
  Tensor weights = b.pointwise(dnn::kPointwiseExponential, seen, nullptr, b.inside(shape, dnn::kFloat));
  Tensor weightsTurned = b.reshape(weights, b.inside(turned, turnedStrides, b.type()));
  buildSharedProduct(p, b, weightsTurned, outGrad, p.valueWidth,
                     b.features(kVGrad, p.keyHeads, p.keys, p.valueWidth, p.vGrad));

  Tensor weightsGrad = b.product(outGrad, v, b.inside(shape, dnn::kFloat));
  Tensor centred = b.pointwise(dnn::kPointwiseSubtract, weightsGrad, &products, b.inside(shape, dnn::kFloat));
  Tensor weighted = b.pointwise(dnn::kPointwiseMultiply, centred, &weights, b.inside(shape, dnn::kFloat));
  Tensor scoresGrad = b.pointwise(dnn::kPointwiseMultiply, weighted, &scale, b.inside(shape, dnn::kFloat));
  Tensor scoresGradTurned = b.reshape(scoresGrad, b.inside(turned, turnedStrides, b.type()));
  buildSharedProduct(p, b, scoresGradTurned, q, p.width, b.features(kKGrad, p.keyHeads, p.keys, p.width, p.kGrad));

  const Shape keyShape{p.batch, p.keyHeads, p.keys, p.width};
  Tensor keys = b.reshape(k, b.inside(keyShape, stridesOf(keyShape, p.k), b.type()));
  b.product(scoresGrad, keys, b.features(kQGrad, p.heads, p.queries, p.width, p.qGrad));
}

}  // namespace

bool describable(const AttentionProblem& p, AttentionDirection direction) {
  if (p.dtype != DType::bf16 && p.dtype != DType::f16) return false;
  if (p.hasMask || p.dropout > 0) return false;
  // The engines look for the largest score before they scale.
  const auto scale = static_cast<float>(p.scale);
  if (!std::isnormal(scale) || scale < 0) return false;
  for (const int64_t extent : {p.batch, p.heads, p.queries, p.keys})
    if (extent < 1) return false;
  if (p.causal && p.queries > p.keys) return false;
  const bool grad = direction == AttentionDirection::grad;
  if (grad && p.queries == 1 && p.keys == 1) return false;
  const auto packs = [](int64_t elements) { return elements > 0 && elements % kPack == 0; };
  if (!packs(p.width) || !packs(p.valueWidth)) return false;
  const auto lie = [&](int64_t heads, int64_t length, const HeadStrides& strides) {
    return (p.batch == 1 || packs(strides.batch)) && (heads == 1 || packs(strides.head)) &&
           (length == 1 || packs(strides.row));
  };
  if (!lie(p.heads, p.queries, p.q) || !lie(p.keyHeads, p.keys, p.k) || !lie(p.keyHeads, p.keys, p.v) ||
      !lie(p.heads, p.queries, p.out))
    return false;
  if (grad && (!lie(p.heads, p.queries, p.outGrad) || !lie(p.heads, p.queries, p.qGrad) ||
               !lie(p.keyHeads, p.keys, p.kGrad) || !lie(p.keyHeads, p.keys, p.vGrad)))
    return false;
  const int64_t statistic[] = {p.heads * p.queries, p.queries, 1}, extents[] = {p.batch, p.heads, p.queries};
  for (size_t axis = 0; axis < 3; axis++)
    if (extents[axis] > 1 && p.statisticStrides[axis] != statistic[axis]) return false;
  return true;
}

std::vector<dnn::Engine> enginesOf(const AttentionProblem& problem, AttentionDirection direction) {
  const auto graph = std::make_shared<dnn::Graph>();
  try {
    Builder builder(problem, *graph);
    direction == AttentionDirection::forward ? buildForward(problem, builder) : buildGrad(problem, builder);
    graph->finalize();
  } catch (const Error& refused) {
    if (refused.code != ErrorCode::unsupported) throw;
    return {};
  }
  const std::string prefix = "cuDNN engine ";
  std::vector<dnn::Engine> engines = dnn::enginesOf(graph, problem.dtype, prefix);
  if (direction == AttentionDirection::grad && dnn::functions().getVersion() < kFirstOtherKnobs)
    if (auto engine = dnn::engineOf(graph, kBlackwellGradEngine, kDeterministicKnobs, prefix))
      engines.insert(engines.begin(), *engine);
  return engines;
}

AttentionPlan::AttentionPlan(const AttentionProblem& problem, AttentionDirection direction, const dnn::Engine& engine)
    : direction_(direction),
      causal_(problem.causal),
      scale_(static_cast<float>(problem.scale)),
      queries_(static_cast<int32_t>(problem.queries)),
      keys_(static_cast<int32_t>(problem.keys)),
      plan_(engine) {}

void AttentionPlan::run(const AttentionPointers& at) {
  std::array<int64_t, kFirstInside> ids;
  std::array<void*, kFirstInside> addresses;
  size_t count = 0;
  const auto give = [&](TensorId id, const void* address) {
    ids[count] = id;
    addresses[count++] = const_cast<void*>(address);
  };
  give(kQ, at.q);
  give(kK, at.k);
  give(kV, at.v);
  give(kOut, at.out);
  give(kLogSumExp, at.logSumExp);
  give(kScale, &scale_);
  if (causal_) give(kHidden, &kMinusInfinity);
  if (causal_ && queries_ != keys_) {
    give(kQueries, &queries_);
    give(kKeys, &keys_);
  }
  if (direction_ == AttentionDirection::grad) {
    give(kOne, &kUnit);
    give(kOutGrad, at.outGrad);
    give(kQGrad, at.qGrad);
    give(kKGrad, at.kGrad);
    give(kVGrad, at.vGrad);
    give(kProducts, at.products);
  }
  plan_.run(std::span(ids).first(count), std::span(addresses).first(count), at.workspace);
}

}  // namespace heddle::cuda
