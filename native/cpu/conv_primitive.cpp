// Convolution by oneDNN, with reorders around it where its layouts are not the operands'.
#include <algorithm>

#include "conv.h"
#include "onednn.h"

namespace heddle {
namespace {

using dnnl::memory;
using Forward = dnnl::convolution_forward;
using InputGrad = dnnl::convolution_backward_data;
using WeightGrad = dnnl::convolution_backward_weights;

constexpr const char* kOp = "conv";

/// [O, C/g, kernel...] as oneDNN's [g, O/g, C/g, kernel...].
memory::desc describeWeight(const ConvProblem& p) {
  if (p.groups == 1) return onednn::descriptor(kOp, p.weight);
  TensorSpec spec = p.weight;
  spec.shape[0] /= p.groups;
  spec.shape.insert(spec.shape.begin(), p.groups);
  spec.strides.insert(spec.strides.begin(), spec.strides[0] * spec.shape[1]);
  return onednn::descriptor(kOp, spec);
}

memory::desc anyLayout(const memory::desc& plain) {
  return memory::desc(plain.get_dims(), plain.get_data_type(), memory::format_tag::any);
}

/// A convolution primitive whose operands pass through workspace where their layouts differ.
class ConvPrimitive : public Kernel {
 public:
  explicit ConvPrimitive(onednn::Primitive primitive) : primitive_(std::move(primitive)) {}

  void input(int id, const memory::desc& user, const memory::desc& chosen) {
    steps_.push_back(step(id, user, chosen, true));
  }
  void output(int id, const memory::desc& user, const memory::desc& chosen) {
    steps_.push_back(step(id, user, chosen, false));
    pointers_.resize(steps_.size());
  }

  size_t workspaceBytes() const override { return copiesBytes_ + scratchBytes_; }

  void run(const RunOperands& operands) override {
    onednn::guard(kOp, [&] {
      char* copies = static_cast<char*>(operands.workspace);
      char* scratch = copies + copiesBytes_;
      const size_t last = steps_.size() - 1;
      for (size_t i = 0; i < last; i++) {
        pointers_[i] = operands.inputs[i];
        if (!steps_[i].copied) continue;
        pointers_[i] = copies + steps_[i].offset;
        steps_[i].reorder.run({operands.inputs[i], pointers_[i]}, scratch);
      }
      pointers_[last] = steps_[last].copied ? copies + steps_[last].offset : operands.outputs[0];
      primitive_.run(pointers_, scratch);
      if (steps_[last].copied) steps_[last].reorder.run({pointers_[last], operands.outputs[0]}, scratch);
    });
  }

 private:
  struct Step {
    bool copied = false;
    size_t offset = 0;
    onednn::Primitive reorder;
  };

  Step step(int id, const memory::desc& user, const memory::desc& chosen, bool isInput) {
    primitive_.argument(id, chosen);
    Step step;
    scratchBytes_ = std::max(scratchBytes_, primitive_.scratchpadBytes());
    if (user == chosen) return step;
    step.copied = true;
    step.offset = copiesBytes_;
    step.reorder = isInput ? onednn::makeReorder(user, chosen) : onednn::makeReorder(chosen, user);
    copiesBytes_ += onednn::alignUp(chosen.get_size());
    scratchBytes_ = std::max(scratchBytes_, step.reorder.scratchpadBytes());
    return step;
  }

  onednn::Primitive primitive_;
  std::vector<Step> steps_;
  std::vector<const void*> pointers_;
  size_t copiesBytes_ = 0;
  size_t scratchBytes_ = 0;
};

struct Layouts {
  memory::desc x, weight, y, bias;                 // the operands' own
  memory::desc wantedX, wantedWeight, wantedY;     // what oneDNN is asked for
  memory::dims stride, dilation, low, high;
};

Layouts layoutsOf(const ConvProblem& p, bool plain) {
  Layouts l;
  l.x = onednn::descriptor(kOp, p.x);
  l.weight = describeWeight(p);
  l.y = onednn::descriptor(kOp, p.y);
  l.bias = memory::desc({p.y.shape[1]}, onednn::dataType(kOp, p.x.dtype), memory::dims{1});
  l.wantedX = plain ? l.x : anyLayout(l.x);
  l.wantedY = plain ? l.y : anyLayout(l.y);
  l.wantedWeight = anyLayout(l.weight);
  l.stride = p.stride;
  l.low = p.paddingLow;
  l.high = p.paddingHigh;
  // oneDNN counts the gaps between the kernel's elements.
  for (int64_t dilation : p.dilation) l.dilation.push_back(dilation - 1);
  return l;
}

Forward::primitive_desc describeForward(const ConvProblem& p, const Layouts& l, dnnl::prop_kind kind,
                                        const dnnl::primitive_attr& attributes) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
  if (p.hasBias)
    return Forward::primitive_desc(onednn::engine(), kind, algorithm, l.wantedX, l.wantedWeight, l.bias, l.wantedY,
                                   l.stride, l.dilation, l.low, l.high, attributes, true);
  return Forward::primitive_desc(onednn::engine(), kind, algorithm, l.wantedX, l.wantedWeight, l.wantedY, l.stride,
                                 l.dilation, l.low, l.high, attributes, true);
}

std::unique_ptr<Kernel> makeForward(const ConvProblem& p, const Layouts& l) {
  dnnl::primitive_attr attributes = onednn::attributes();
  dnnl::post_ops operations;
  appendActivation(operations, p.activation);
  attributes.set_post_ops(operations);
  const auto descriptor = describeForward(p, l, dnnl::prop_kind::forward_inference, attributes);
  if (!descriptor || onednn::isReference(descriptor)) return nullptr;
  auto kernel = std::make_unique<ConvPrimitive>(onednn::Primitive(descriptor, Forward(descriptor)));
  kernel->input(DNNL_ARG_SRC, l.x, descriptor.src_desc());
  kernel->input(DNNL_ARG_WEIGHTS, l.weight, descriptor.weights_desc());
  if (p.hasBias) kernel->input(DNNL_ARG_BIAS, l.bias, l.bias);
  kernel->output(DNNL_ARG_DST, l.y, descriptor.dst_desc());
  return kernel;
}

std::unique_ptr<Kernel> makeInputGrad(const Layouts& l, const Forward::primitive_desc& hint) {
  const InputGrad::primitive_desc descriptor(onednn::engine(), dnnl::algorithm::convolution_direct, l.wantedX,
                                             l.wantedWeight, l.wantedY, l.stride, l.dilation, l.low, l.high, hint,
                                             onednn::attributes(), true);
  if (!descriptor || onednn::isReference(descriptor)) return nullptr;
  auto kernel = std::make_unique<ConvPrimitive>(onednn::Primitive(descriptor, InputGrad(descriptor)));
  kernel->input(DNNL_ARG_DIFF_DST, l.y, descriptor.diff_dst_desc());
  kernel->input(DNNL_ARG_WEIGHTS, l.weight, descriptor.weights_desc());
  kernel->output(DNNL_ARG_DIFF_SRC, l.x, descriptor.diff_src_desc());
  return kernel;
}

std::unique_ptr<Kernel> makeWeightGrad(const Layouts& l, const Forward::primitive_desc& hint) {
  const WeightGrad::primitive_desc descriptor(onednn::engine(), dnnl::algorithm::convolution_direct, l.wantedX,
                                              l.wantedWeight, l.wantedY, l.stride, l.dilation, l.low, l.high, hint,
                                              onednn::attributes(), true);
  if (!descriptor || onednn::isReference(descriptor)) return nullptr;
  auto kernel = std::make_unique<ConvPrimitive>(onednn::Primitive(descriptor, WeightGrad(descriptor)));
  kernel->input(DNNL_ARG_SRC, l.x, descriptor.src_desc());
  kernel->input(DNNL_ARG_DIFF_DST, l.y, descriptor.diff_dst_desc());
  kernel->output(DNNL_ARG_DIFF_WEIGHTS, l.weight, descriptor.diff_weights_desc());
  return kernel;
}

}  // namespace

std::unique_ptr<Kernel> makeConvPrimitive(const ConvProblem& problem, ConvDirection direction, bool plain) {
  return onednn::guard(kOp, [&]() -> std::unique_ptr<Kernel> {
    const Layouts layouts = layoutsOf(problem, plain);
    if (direction == ConvDirection::forward) return makeForward(problem, layouts);
    const auto hint = describeForward(problem, layouts, dnnl::prop_kind::forward_training, onednn::attributes());
    if (!hint) return nullptr;
    return direction == ConvDirection::inputGrad ? makeInputGrad(layouts, hint) : makeWeightGrad(layouts, hint);
  });
}

}  // namespace heddle
