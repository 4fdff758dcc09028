// Attributes and operands of oneDNN's int8 primitives. The scales of v3 are operands of a run:
// dst = (activation(src_scale wei_scale sum (src - src_zero_point) wei + bias)) / dst_scale + dst_zero_point.
#include "quantized.h"

#include "../core/element.h"

namespace heddle::quantized {

using dnnl::memory;

void expectBytesMultiplied(const char* op) {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx512_core_vnni:
    case dnnl::cpu_isa::avx512_core_bf16:
    case dnnl::cpu_isa::avx512_core_fp16:
    case dnnl::cpu_isa::avx512_core_amx:
    case dnnl::cpu_isa::avx512_core_amx_fp16: return;
    default:
      throw Error(ErrorCode::unsupported,
                  std::string(op) + ": this processor has no AVX-512 VNNI, without which products of 8-bit integers " +
                      "overflow; compute it in f32");
  }
}

memory::data_type dataType(DType dtype) {
  return dtype == DType::u8   ? memory::data_type::u8
         : dtype == DType::i8 ? memory::data_type::s8
                              : memory::data_type::f32;
}

dnnl::primitive_attr attributesOf(const QuantizedProblem& problem, int weightMask) {
  const QuantizedOperands& o = problem.operands;
  dnnl::primitive_attr attributes = onednn::attributes();
  attributes.set_scales_mask(DNNL_ARG_SRC, 0);
  attributes.set_scales_mask(DNNL_ARG_WEIGHTS, weightMask);
  if (o.outputScale) attributes.set_scales_mask(DNNL_ARG_DST, 0);
  if (o.inputZeroPoint) attributes.set_zero_points_mask(DNNL_ARG_SRC, 0);
  if (o.outputZeroPoint) attributes.set_zero_points_mask(DNNL_ARG_DST, 0);
  dnnl::post_ops operations;
  if (problem.relu) operations.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
  attributes.set_post_ops(operations);
  return attributes;
}

void declareOperands(onednn::Primitive& primitive, const QuantizedProblem& problem, const memory::desc& bias) {
  const QuantizedOperands& o = problem.operands;
  const memory::desc scale({1}, memory::data_type::f32, memory::dims{1});
  const memory::desc scales({problem.weight.shape[0]}, memory::data_type::f32, memory::dims{1});
  const memory::desc zeroPoint({1}, memory::data_type::s32, memory::dims{1});
  primitive.argument(DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC, scale);
  primitive.argument(DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, scales);
  if (o.inputZeroPoint) primitive.argument(DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, zeroPoint);
  if (o.bias) primitive.argument(DNNL_ARG_BIAS, bias);
  if (o.outputScale) primitive.argument(DNNL_ARG_ATTR_SCALES | DNNL_ARG_DST, scale);
  if (o.outputZeroPoint) primitive.argument(DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_DST, zeroPoint);
}

}  // namespace heddle::quantized
