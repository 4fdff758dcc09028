// oneDNN as the kernels use it: one engine and stream, descriptors from specs, and a primitive that runs on raw
// pointers.
#pragma once

#include <dnnl.hpp>
#include <utility>
#include <vector>

#include "../core/kernel.h"

namespace heddle::onednn {

dnnl::engine& engine();
dnnl::stream& stream();

/// The widest instruction set that kernels use.
const char* instructionSet();

/// Throws unsupported for a dtype oneDNN has no CPU kernels for.
dnnl::memory::data_type dataType(const char* op, DType dtype);

dnnl::memory::desc descriptor(const char* op, const TensorSpec& spec);

/// Attributes with scratch memory given by the caller, as the planner wants it.
dnnl::primitive_attr attributes();

/// True where oneDNN has only its slow portable loops for this primitive.
bool isReference(const dnnl::primitive_desc_base& descriptor);

/// Rethrows what oneDNN throws inside `function` as heddle::Error naming the op.
template <typename Function>
auto guard(const char* op, Function&& function) {
  try {
    return function();
  } catch (const dnnl::error& error) {
    const ErrorCode code = error.status == dnnl_unimplemented   ? ErrorCode::unsupported
                           : error.status == dnnl_out_of_memory ? ErrorCode::outOfMemory
                                                                : ErrorCode::internal;
    throw Error(code, std::string(op) + ": oneDNN answered \"" + error.what() + "\"");
  }
}

/// A primitive with its memory objects made once; a run only sets their pointers.
class Primitive {
 public:
  Primitive() = default;
  explicit Primitive(const dnnl::primitive_desc_base& descriptor, dnnl::primitive primitive);

  /// Declares argument `id`; runs give its pointer in the order of these calls.
  void argument(int id, const dnnl::memory::desc& descriptor);
  size_t scratchpadBytes() const { return scratchpadBytes_; }
  void run(std::initializer_list<const void*> pointers, void* scratchpad) {
    run(std::span<const void* const>(pointers.begin(), pointers.size()), scratchpad);
  }
  void run(std::span<const void* const> pointers, void* scratchpad);

 private:
  dnnl::primitive primitive_;
  std::vector<dnnl_exec_arg_t> arguments_;
  std::vector<dnnl::memory> memories_;
  dnnl::memory scratchpad_;
  size_t scratchpadBytes_ = 0;
};

/// A reorder between two descriptors of one tensor.
Primitive makeReorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);

/// Workspace parts start at cache lines.
inline size_t alignUp(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace heddle::onednn
