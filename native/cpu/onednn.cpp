// oneDNN's engine and stream, descriptors and primitives on raw pointers.
#include "onednn.h"

#include <cstring>

#include "../core/element.h"

namespace heddle::onednn {

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  // Of each thread that runs plans: a stream is for one at a time.
  static thread_local dnnl::stream instance(engine());
  return instance;
}

const char* instructionSet() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx512_core_amx_fp16:
    case dnnl::cpu_isa::avx512_core_amx: return "amx";
    case dnnl::cpu_isa::avx512_core_fp16: return "avx512_fp16";
    case dnnl::cpu_isa::avx512_core_bf16: return "avx512_bf16";
    case dnnl::cpu_isa::avx512_core_vnni: return "avx512_vnni";
    case dnnl::cpu_isa::avx512_core: return "avx512";
    case dnnl::cpu_isa::avx2_vnni_2:
    case dnnl::cpu_isa::avx2_vnni:
    case dnnl::cpu_isa::avx2: return "avx2";
    default: return "sse4.1";
  }
}

dnnl::memory::data_type dataType(const char* op, DType dtype) {
  switch (dtype) {
    case DType::f32: return dnnl::memory::data_type::f32;
    case DType::bf16: return dnnl::memory::data_type::bf16;
    case DType::f16: return dnnl::memory::data_type::f16;
    default: throwUnsupported(op, dtype);
  }
}

dnnl::memory::desc descriptor(const char* op, const TensorSpec& spec) {
  return dnnl::memory::desc(spec.shape, dataType(op, spec.dtype), spec.strides);
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

bool isReference(const dnnl::primitive_desc_base& descriptor) {
  const char* name = descriptor.impl_info_str();
  return std::strncmp(name, "ref", 3) == 0 || std::strncmp(name, "simple", 6) == 0;
}

Primitive::Primitive(const dnnl::primitive_desc_base& descriptor, dnnl::primitive primitive)
    : primitive_(std::move(primitive)),
      scratchpad_(descriptor.scratchpad_desc(), engine(), DNNL_MEMORY_NONE),
      scratchpadBytes_(descriptor.scratchpad_desc().get_size()) {}

void Primitive::argument(int id, const dnnl::memory::desc& descriptor) {
  memories_.emplace_back(descriptor, engine(), static_cast<void*>(nullptr));
  arguments_.push_back({id, memories_.back().get()});
}

void Primitive::run(std::span<const void* const> pointers, void* scratchpad) {
  const size_t count = memories_.size();
  if (arguments_.size() == count) arguments_.push_back({DNNL_ARG_SCRATCHPAD, scratchpad_.get()});
  for (size_t i = 0; i < count; i++) memories_[i].set_data_handle(const_cast<void*>(pointers[i]));
  scratchpad_.set_data_handle(scratchpad);
  dnnl::error::wrap_c_api(
      dnnl_primitive_execute(primitive_.get(), stream().get(), static_cast<int>(arguments_.size()), arguments_.data()),
      "a primitive could not be run");
}

Primitive makeReorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  const dnnl::reorder::primitive_desc descriptor(engine(), from, engine(), to, attributes());
  Primitive reorder(descriptor, dnnl::reorder(descriptor));
  reorder.argument(DNNL_ARG_FROM, from);
  reorder.argument(DNNL_ARG_TO, to);
  return reorder;
}

}  // namespace heddle::onednn
