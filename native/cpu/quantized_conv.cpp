// Op quantizedConv by oneDNN, on channels-last operands and a weight that stays packed while its elements are the same.
#include <algorithm>
#include <cstring>

#include "kernels.h"
#include "quantized.h"

namespace heddle {
namespace {

constexpr const char* kOp = "quantizedConv";
using dnnl::memory;
using Forward = dnnl::convolution_forward;

/// A weight in the layout oneDNN wants. Packing costs as much as a small convolution and comparing a tenth of it, so
/// the packed copy is kept with the elements it was made from.
class PackedWeight {
 public:
  PackedWeight(const memory::desc& plain, const memory::desc& wanted)
      : reorder_(onednn::makeReorder(plain, wanted)),
        source_(plain.get_size()),
        packed_(wanted.get_size() + kAlignment) {}

  size_t scratchpadBytes() const { return reorder_.scratchpadBytes(); }

  const void* of(const void* weight, void* scratch) {
    auto address = reinterpret_cast<uintptr_t>(packed_.data());
    char* packed = packed_.data() + (kAlignment - address % kAlignment) % kAlignment;
    if (filled_ && std::memcmp(source_.data(), weight, source_.size()) == 0) return packed;
    filled_ = false;
    reorder_.run({weight, packed}, scratch);
    std::memcpy(source_.data(), weight, source_.size());
    filled_ = true;
    return packed;
  }

 private:
  static constexpr size_t kAlignment = 64;
  onednn::Primitive reorder_;
  std::vector<char> source_, packed_;
  bool filled_ = false;
};

memory::desc channelsLast(const TensorSpec& spec) {
  memory::dims strides(spec.shape.size());
  int64_t step = strides[1] = 1;
  step = spec.shape[1];
  for (size_t axis = spec.shape.size(); axis-- > 2; step *= spec.shape[axis]) strides[axis] = step;
  strides[0] = step;
  return memory::desc(spec.shape, quantized::dataType(spec.dtype), strides);
}

/// An operand as it lies in memory; strides of axes of extent 1 are the channels-last ones, whatever they say.
memory::desc describe(const TensorSpec& spec) {
  memory::dims strides = channelsLast(spec).get_strides();
  for (size_t axis = 0; axis < strides.size(); axis++)
    if (spec.shape[axis] > 1) strides[axis] = spec.strides[axis];
  return memory::desc(spec.shape, quantized::dataType(spec.dtype), strides);
}

/// [O, C/g, kernel...] as oneDNN's [g, O/g, C/g, kernel...].
memory::dims weightShape(const ConvProblem& p) {
  memory::dims shape = p.weight.shape;
  if (p.groups == 1) return shape;
  shape[0] /= p.groups;
  shape.insert(shape.begin(), p.groups);
  return shape;
}

memory::desc rowMajor(const memory::dims& shape) {
  memory::dims strides(shape.size());
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) strides[axis] = step;
  return memory::desc(shape, memory::data_type::s8, strides);
}

/// x and y that are not channels-last pass through workspace.
class QuantizedConv : public Kernel {
 public:
  QuantizedConv(onednn::Primitive primitive, PackedWeight weight, size_t operands)
      : primitive_(std::move(primitive)), weight_(std::move(weight)), pointers_(operands + 1) {}

  void reorderInput(const memory::desc& from, const memory::desc& to) {
    input_ = onednn::makeReorder(from, to);
    inputBytes_ = onednn::alignUp(to.get_size());
  }
  void reorderOutput(const memory::desc& from, const memory::desc& to) {
    output_ = onednn::makeReorder(from, to);
    outputBytes_ = onednn::alignUp(from.get_size());
  }

  size_t workspaceBytes() const override {
    return inputBytes_ + outputBytes_ +
           std::max({primitive_.scratchpadBytes(), weight_.scratchpadBytes(), input_.scratchpadBytes(),
                     output_.scratchpadBytes()});
  }

  void run(const RunOperands& operands) override {
    onednn::guard(kOp, [&] {
      char* workspace = static_cast<char*>(operands.workspace);
      char* scratch = workspace + inputBytes_ + outputBytes_;
      std::copy(operands.inputs.begin(), operands.inputs.end(), pointers_.begin());
      if (inputBytes_) {
        input_.run({operands.inputs[0], workspace}, scratch);
        pointers_[0] = workspace;
      }
      pointers_[1] = weight_.of(operands.inputs[1], scratch);
      char* y = outputBytes_ ? workspace + inputBytes_ : static_cast<char*>(operands.outputs[0]);
      pointers_.back() = y;
      primitive_.run(pointers_, scratch);
      if (outputBytes_) output_.run({y, operands.outputs[0]}, scratch);
    });
  }

 private:
  onednn::Primitive primitive_, input_, output_;
  PackedWeight weight_;
  std::vector<const void*> pointers_;
  size_t inputBytes_ = 0, outputBytes_ = 0;
};

Forward::primitive_desc describeForward(const QuantizedConvProblem& p, const memory::desc& weight,
                                        const memory::desc& bias) {
  const ConvProblem& g = p.geometry;
  // A scale per output channel: of the axis O, or of both axes g and O/g.
  const dnnl::primitive_attr attributes = quantized::attributesOf(p, g.groups == 1 ? 1 : 3);
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::convolution_direct;
  // oneDNN counts the gaps between the kernel's elements.
  memory::dims dilation = g.dilation;
  for (int64_t& step : dilation) step--;
  if (p.operands.bias)
    return Forward::primitive_desc(onednn::engine(), kind, algorithm, channelsLast(p.x), weight, bias,
                                   channelsLast(p.y), g.stride, dilation, g.paddingLow, g.paddingHigh, attributes);
  return Forward::primitive_desc(onednn::engine(), kind, algorithm, channelsLast(p.x), weight, channelsLast(p.y),
                                 g.stride, dilation, g.paddingLow, g.paddingHigh, attributes);
}

std::unique_ptr<Kernel> make(WordReader& words, Specs inputs, Specs outputs) {
  const QuantizedConvProblem p = readQuantizedConv(QuantizedConvParams::read(words), inputs, outputs);
  quantized::expectBytesMultiplied(kOp);
  return onednn::guard(kOp, [&]() -> std::unique_ptr<Kernel> {
    const memory::dims shape = weightShape(p.geometry);
    const memory::desc bias({p.weight.shape[0]}, memory::data_type::f32, memory::dims{1});
    const auto descriptor =
        describeForward(p, memory::desc(shape, memory::data_type::s8, memory::format_tag::any), bias);
    onednn::Primitive primitive(descriptor, Forward(descriptor));
    primitive.argument(DNNL_ARG_SRC, descriptor.src_desc());
    primitive.argument(DNNL_ARG_WEIGHTS, descriptor.weights_desc());
    quantized::declareOperands(primitive, p, bias);
    primitive.argument(DNNL_ARG_DST, descriptor.dst_desc());
    auto kernel = std::make_unique<QuantizedConv>(
        std::move(primitive), PackedWeight(rowMajor(shape), descriptor.weights_desc()), inputs.size());
    if (const memory::desc x = describe(p.x); x != descriptor.src_desc())
      kernel->reorderInput(x, descriptor.src_desc());
    if (const memory::desc y = describe(p.y); y != descriptor.dst_desc())
      kernel->reorderOutput(descriptor.dst_desc(), y);
    return kernel;
  });
}

}  // namespace

void registerQuantizedConv(KernelTable& table) { table.add(OpId::quantizedConv, make); }

}  // namespace heddle
