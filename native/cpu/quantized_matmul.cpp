// Op quantizedMatmul by oneDNN, on the weight's own rows: packing it at each run costs more than it saves.
#include "kernels.h"
#include "quantized.h"

namespace heddle {
namespace {

constexpr const char* kOp = "quantizedMatmul";
using dnnl::memory;

class QuantizedMatmul : public Kernel {
 public:
  QuantizedMatmul(onednn::Primitive primitive, size_t operands)
      : primitive_(std::move(primitive)), pointers_(operands + 1) {}

  size_t workspaceBytes() const override { return primitive_.scratchpadBytes(); }

  void run(const RunOperands& operands) override {
    std::copy(operands.inputs.begin(), operands.inputs.end(), pointers_.begin());
    pointers_.back() = operands.outputs[0];
    onednn::guard(kOp, [&] { primitive_.run(pointers_, operands.workspace); });
  }

 private:
  onednn::Primitive primitive_;
  std::vector<const void*> pointers_;
};

std::unique_ptr<Kernel> make(WordReader& words, Specs inputs, Specs outputs) {
  const QuantizedProblem p = readQuantizedMatmul(QuantizedMatmulParams::read(words), inputs, outputs);
  quantized::expectBytesMultiplied(kOp);
  return onednn::guard(kOp, [&]() -> std::unique_ptr<Kernel> {
    const int64_t rows = p.x.shape[0], inner = p.x.shape[1], columns = p.weight.shape[0];
    const memory::desc x({rows, inner}, quantized::dataType(p.x.dtype), memory::dims{inner, 1});
    const memory::desc weight({inner, columns}, memory::data_type::s8, memory::dims{1, inner});
    const memory::desc y({rows, columns}, quantized::dataType(p.y.dtype), memory::dims{columns, 1});
    const memory::desc bias({1, columns}, memory::data_type::f32, memory::dims{columns, 1});
    const dnnl::primitive_attr attributes = quantized::attributesOf(p, 1 << 1);
    const dnnl::matmul::primitive_desc descriptor =
        p.operands.bias ? dnnl::matmul::primitive_desc(onednn::engine(), x, weight, bias, y, attributes)
                        : dnnl::matmul::primitive_desc(onednn::engine(), x, weight, y, attributes);
    onednn::Primitive primitive(descriptor, dnnl::matmul(descriptor));
    primitive.argument(DNNL_ARG_SRC, x);
    primitive.argument(DNNL_ARG_WEIGHTS, weight);
    quantized::declareOperands(primitive, p, bias);
    primitive.argument(DNNL_ARG_DST, y);
    return std::make_unique<QuantizedMatmul>(std::move(primitive), inputs.size());
  });
}

}  // namespace

void registerQuantizedMatmul(KernelTable& table) { table.add(OpId::quantizedMatmul, make); }

}  // namespace heddle
