// Graphs of products, operations between elements, reductions and reshapes over [b, h, i, j], step by step as their
// descriptors say, each result rounded to its tensor's type. What cuDNN has fused kernels for is told by the counts:
// attention has two products, its gradient five and three reshapes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "../../core/element.h"
#include "cuda_runtime.h"
#include "cudnn_problem.h"

namespace heddle::emulation {

namespace {

using namespace cuda::dnn;

enum Index { kNeverThere = kFirstAttentionEngine, kFused };

struct Port {
  TensorLayout layout;
  bool inside = false, byValue = false;
};

/// y = x `type` b, and so on; `b` and `condition` where there are any.
struct Step {
  int type, mode = -1;
  int64_t axis = -1;
  Port x, b, condition, y;
  bool hasB = false, hasCondition = false;
};

Port portOf(const Impl& tensor) {
  const auto is = [&](int name) { return tensor.has(name) && tensor.value<uint8_t>(name); };
  return {layoutOf(tensor), is(kTensorVirtual), is(kTensorByValue)};
}

bool readStep(const Impl& operation, Step& step) {
  step.type = operation.type;
  switch (operation.type) {
    case kProductOperation:
      step.x = portOf(operation.part(kProductA));
      step.b = portOf(operation.part(kProductB));
      step.hasB = true;
      step.y = portOf(operation.part(kProductC));
      return true;
    case kPointwiseOperation: {
      const Impl& how = operation.part(kPointwiseDescriptor);
      step.mode = how.value<int>(kPointwiseMode);
      if (how.has(kPointwiseAxis)) step.axis = how.value<int64_t>(kPointwiseAxis);
      step.x = portOf(operation.part(kPointwiseX));
      step.y = portOf(operation.part(kPointwiseY));
      step.hasB = operation.has(kPointwiseB);
      if (step.hasB) step.b = portOf(operation.part(kPointwiseB));
      step.hasCondition = operation.has(kPointwiseCondition);
      if (step.hasCondition) step.condition = portOf(operation.part(kPointwiseCondition));
      return true;
    }
    case kReductionOperation:
      step.mode = operation.part(kReductionDescriptor).value<int>(kReductionOperator);
      step.x = portOf(operation.part(kReductionX));
      step.y = portOf(operation.part(kReductionY));
      return true;
    case kReshapeOperation:
      step.x = portOf(operation.part(kReshapeX));
      step.y = portOf(operation.part(kReshapeY));
      return true;
    default: return false;
  }
}

bool isHalf(int type) { return type == kHalf || type == kBFloat16; }
size_t bytesOfElement(int type) { return isHalf(type) ? 2 : type == kBoolean ? 1 : type == kDouble ? 8 : 4; }

int64_t elementsOf(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (int64_t extent : shape) elements *= extent;
  return elements;
}

/// From the first element to the last.
int64_t reachOf(const TensorLayout& t) {
  int64_t last = 0;
  for (size_t axis = 0; axis < t.shape.size(); axis++) last += (t.shape[axis] - 1) * t.strides[axis];
  return last + 1;
}

/// A tensor at an address, or a number.
struct View {
  int type;
  char* base;
  int64_t extents[4], strides[4];  // strides 0 where it repeats
  double number = 0;

  int64_t offset(const int64_t* at) const {
    return at[0] * strides[0] + at[1] * strides[1] + at[2] * strides[2] + at[3] * strides[3];
  }
  double get(const int64_t* at) const { return base ? load(offset(at)) : number; }
  double load(int64_t i) const {
    switch (type) {
      case kFloat: return reinterpret_cast<const float*>(base)[i];
      case kInt32: return reinterpret_cast<const int32_t*>(base)[i];
      case kBoolean: return reinterpret_cast<const uint8_t*>(base)[i];
      case kHalf: return toFloat(reinterpret_cast<const Float16*>(base)[i]);
      default: return toFloat(reinterpret_cast<const BFloat16*>(base)[i]);
    }
  }
  void set(const int64_t* at, double value) const { store(offset(at), value); }
  void store(int64_t i, double value) const {
    const auto narrow = static_cast<float>(value);
    switch (type) {
      case kFloat: reinterpret_cast<float*>(base)[i] = narrow; break;
      case kInt32: reinterpret_cast<int32_t*>(base)[i] = static_cast<int32_t>(value); break;
      case kBoolean: reinterpret_cast<uint8_t*>(base)[i] = value != 0; break;
      case kHalf: reinterpret_cast<Float16*>(base)[i] = toFloat16(narrow); break;
      default: reinterpret_cast<BFloat16*>(base)[i] = toBFloat16(narrow);
    }
  }
};

template <typename Visit>
void forEach(const int64_t* extents, Visit&& visit) {
  int64_t at[4];
  for (at[0] = 0; at[0] < extents[0]; at[0]++)
    for (at[1] = 0; at[1] < extents[1]; at[1]++)
      for (at[2] = 0; at[2] < extents[2]; at[2]++)
        for (at[3] = 0; at[3] < extents[3]; at[3]++) visit(at);
}

double combined(int mode, double x, double b) {
  switch (mode) {
    case kPointwiseAdd: return x + b;
    case kPointwiseSubtract: return x - b;
    case kPointwiseMultiply: return x * b;
    case kPointwiseDivide: return x / b;
    case kPointwiseExponential: return std::exp(x);
    case kPointwiseLogarithm: return std::log(x);
    default: return x >= b;
  }
}

void runProduct(const View& a, const View& b, const View& c) {
  // Heads of a may share those of b.
  const int64_t group = a.extents[1] / b.extents[1];
  forEach(c.extents, [&](const int64_t* at) {
    int64_t left[] = {at[0], at[1], at[2], 0}, right[] = {at[0], at[1] / group, 0, at[3]};
    double sum = 0;
    for (int64_t k = 0; k < a.extents[3]; k++) {
      left[3] = right[2] = k;
      sum += a.get(left) * b.get(right);
    }
    c.set(at, sum);
  });
}

void runPointwise(const Step& step, const View& x, const View& b, const View& condition, const View& y) {
  forEach(y.extents, [&](const int64_t* at) {
    if (step.mode == kPointwiseIndex)
      y.set(at, static_cast<double>(at[step.axis]));
    else if (step.hasCondition)
      y.set(at, condition.get(at) != 0 ? x.get(at) : b.get(at));
    else
      y.set(at, combined(step.mode, x.get(at), step.hasB ? b.get(at) : 0));
  });
}

void runReduction(const Step& step, const View& x, const View& y) {
  const bool adds = step.mode == kReduceAdd;
  std::vector<double> sums(static_cast<size_t>(y.extents[0] * y.extents[1] * y.extents[2] * y.extents[3]),
                           adds ? 0 : -std::numeric_limits<double>::infinity());
  const auto flat = [&](const int64_t* at) {
    return static_cast<size_t>(((at[0] * y.extents[1] + at[1]) * y.extents[2] + at[2]) * y.extents[3] + at[3]);
  };
  forEach(x.extents, [&](const int64_t* at) {
    int64_t to[4];
    for (int axis = 0; axis < 4; axis++) to[axis] = at[axis] * y.extents[axis] / x.extents[axis];
    double& sum = sums[flat(to)];
    sum = adds ? sum + x.get(at) : std::max(sum, x.get(at));
  });
  forEach(y.extents, [&](const int64_t* at) { y.set(at, sums[flat(at)]); });
}

/// The same memory: what lies at an offset of one lies there in the other.
void runReshape(const View& x, const View& y) {
  forEach(y.extents, [&](const int64_t* at) { y.store(y.offset(at), x.load(y.offset(at))); });
}

class AttentionProblem : public Problem {
 public:
  explicit AttentionProblem(std::vector<Step> steps) : steps_(std::move(steps)) {
    products_ = std::count_if(steps_.begin(), steps_.end(), [](const Step& s) { return s.type == kProductOperation; });
  }

  bool known() const { return products_ == 2 || products_ == 5; }

  const char* mistake() const override {
    std::set<int64_t> made;
    for (const Step& s : steps_) {
      for (const Port* port : {&s.x, s.hasB ? &s.b : &s.x, s.hasCondition ? &s.condition : &s.x, &s.y}) {
        if (port->layout.shape.size() != 4) return "tensors of four axes";
        if (port->inside && port != &s.y && !made.count(port->layout.id)) return "a virtual tensor that nothing made";
      }
      if (s.y.byValue || !made.insert(s.y.layout.id).second) return "a result of its own for each operation";
      if (const char* reason = shapeMistake(s)) return reason;
    }
    return nullptr;
  }

  std::vector<Engine> suggestions(bool fallback) const override {
    int major = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
    if (major < 8) return {};
    if (fallback) return {attentionEngine(kFused, 0)};
    return {attentionEngine(kNeverThere, 0), attentionEngine(kFused, 1)};
  }

  const char* refusal(const Engine& engine) const override {
    if (engine.index == kNeverThere) return "the engine does not support the device";
    int type = -1;
    for (const Step& s : steps_) {
      for (const Port* port : {&s.x, s.hasB ? &s.b : &s.x, &s.y}) {
        const TensorLayout& t = port->layout;
        if (port->inside || port->byValue || t.shape[3] == 1) continue;
        if (!isHalf(t.type) || (type >= 0 && t.type != type)) return "operands of one 16-bit type";
        type = t.type;
        const size_t features = t.strides[3] == 1 ? 3 : 2;
        if (t.strides[features] != 1 || t.shape[features] % 8 != 0) return "features beside each other, in eights";
        if (t.shape[features] > (products_ == 5 ? 128 : 256)) return "heads of up to 128, forward of up to 256";
        for (size_t axis = 0; axis < 4; axis++)
          if (axis != features && t.shape[axis] > 1 && t.strides[axis] % 8 != 0) return "rows at 16 bytes";
      }
      if (s.mode == kPointwiseIndex && s.y.layout.type != kInt32) return "indices of i32";
      if (s.type == kPointwiseOperation && s.mode == kPointwiseNotLess && s.y.layout.type != kBoolean)
        return "comparisons that give a boolean";
      if (s.hasCondition && s.condition.layout.type != kBoolean) return "a boolean to select by";
    }
    return nullptr;
  }

  int64_t workspaceBytes(const Engine& engine) const override {
    return products_ == 5 ? reachOf(steps_[0].x.layout) * 2 : engine.knob * 64;
  }

  const char* refusal(const Engine& engine, const Tensors& tensors, const void* workspace) const override {
    for (const Step& s : steps_)
      for (const Port* port : {&s.x, s.hasB ? &s.b : &s.x, &s.y}) {
        if (port->inside) continue;
        const auto found = tensors.find(port->layout.id);
        if (found == tensors.end() || !found->second) return "a tensor of the graph has no address";
        const auto alignment =
            port->byValue ? bytesOfElement(port->layout.type) : static_cast<size_t>(port->layout.alignment);
        if (reinterpret_cast<uintptr_t>(found->second) % alignment != 0)
          return "an address less aligned than its tensor";
      }
    return workspaceBytes(engine) > 0 ? workspaceMistake(engine, tensors, workspace) : nullptr;
  }

  std::function<void()> work(const Engine& engine, const Tensors& tensors, void* workspace) const override {
    std::map<int64_t, double> numbers;
    for (const Step& s : steps_)
      if (s.hasB && s.b.byValue) {
        const void* at = tensors.at(s.b.layout.id);
        numbers[s.b.layout.id] =
            s.b.layout.type == kInt32 ? *static_cast<const int32_t*>(at) : *static_cast<const float*>(at);
      }
    const auto bytes = static_cast<size_t>(workspaceBytes(engine));
    return [=, steps = steps_] {
      spend(8 - engine.knob);
      std::memset(workspace, 0xff, bytes);
      run(steps, tensors, numbers);
    };
  }

 private:
  const char* workspaceMistake(const Engine& engine, const Tensors& tensors, const void* workspace) const {
    if (!workspace) return "workspace is missing";
    const auto* first = static_cast<const char*>(workspace);
    const char* end = first + workspaceBytes(engine);
    for (const Step& s : steps_)
      for (const Port* port : {&s.x, s.hasB ? &s.b : &s.x, &s.y}) {
        if (port->inside) continue;
        const auto* from = static_cast<const char*>(tensors.at(port->layout.id));
        const size_t bytes = static_cast<size_t>(reachOf(port->layout)) * bytesOfElement(port->layout.type);
        if (from < end && first < from + bytes) return "workspace lies over an operand";
      }
    return nullptr;
  }

  static const char* shapeMistake(const Step& s) {
    const auto &x = s.x.layout.shape, &y = s.y.layout.shape;
    if (s.type == kProductOperation) {
      const auto& b = s.b.layout.shape;
      const bool agree = x[0] == b[0] && x[0] == y[0] && x[1] == y[1] && x[1] % b[1] == 0 && x[2] == y[2] &&
                         x[3] == b[2] && b[3] == y[3];
      return agree ? nullptr : "the shapes of a product do not agree";
    }
    if (s.type == kReshapeOperation)
      return elementsOf(x) == elementsOf(y) && reachOf(s.x.layout) == reachOf(s.y.layout)
                 ? nullptr
                 : "a reshape is of the same memory";
    if (s.type == kReductionOperation) {
      for (size_t axis = 0; axis < 4; axis++)
        if (x[axis] % y[axis] != 0) return "a reduction to whole parts";
      return nullptr;
    }
    for (const Port* port : {&s.x, s.hasB ? &s.b : &s.x, s.hasCondition ? &s.condition : &s.x})
      for (size_t axis = 0; axis < 4; axis++)
        if (port->layout.shape[axis] != y[axis] && port->layout.shape[axis] != 1)
          return "the shapes of an operation between elements do not agree";
    return nullptr;
  }

  static void run(const std::vector<Step>& steps, const Tensors& tensors, const std::map<int64_t, double>& numbers) {
    std::map<int64_t, std::vector<char>> inside;
    const auto view = [&](const Port& port) {
      View made{port.layout.type, nullptr, {}, {}};
      for (size_t axis = 0; axis < 4; axis++) {
        made.extents[axis] = port.layout.shape[axis];
        made.strides[axis] = port.layout.shape[axis] == 1 ? 0 : port.layout.strides[axis];
      }
      if (port.byValue) return made.number = numbers.at(port.layout.id), made;
      if (port.inside) {
        std::vector<char>& memory = inside[port.layout.id];
        memory.resize(static_cast<size_t>(reachOf(port.layout)) * bytesOfElement(port.layout.type));
        made.base = memory.data();
      } else {
        made.base = static_cast<char*>(tensors.at(port.layout.id));
      }
      return made;
    };
    for (const Step& s : steps) {
      const View y = view(s.y), x = view(s.x);
      const View b = s.hasB ? view(s.b) : x, condition = s.hasCondition ? view(s.condition) : x;
      if (s.type == kProductOperation)
        runProduct(x, b, y);
      else if (s.type == kPointwiseOperation)
        runPointwise(s, x, b, condition, y);
      else if (s.type == kReductionOperation)
        runReduction(s, x, y);
      else
        runReshape(x, y);
    }
  }

  const std::vector<Step> steps_;
  int64_t products_;
};

}  // namespace

Engine attentionEngine(int index, int knob) { return {index, knob, {kNoteTensorCore}, {kNoteRuntimeCompilation}}; }

std::shared_ptr<const Problem> attentionOf(const Impl& graph) {
  std::vector<Step> steps;
  for (const auto& operation : graph.attributes.at(kGraphOperations).descriptors)
    if (!readStep(*operation, steps.emplace_back())) return nullptr;
  auto problem = std::make_shared<const AttentionProblem>(std::move(steps));
  return problem->known() ? problem : nullptr;
}

}  // namespace heddle::emulation
