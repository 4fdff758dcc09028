// Reads arguments strictly: a value of the wrong type or range is an error that names it, never undefined behaviour.
#pragma once

#include <napi.h>

#include <span>
#include <string>

#include "../core/error.h"

namespace heddle::binding {

/// The arguments of one call; `function` is what errors call it.
class Arguments {
 public:
  Arguments(const char* function, const Napi::CallbackInfo& info) : function_(function), info_(info) {}

  /// A safe integer of at least `lowest`.
  size_t integer(size_t position, const char* name, size_t lowest = 0) const;
  uint32_t handle(size_t position, const char* name) const;
  std::string text(size_t position, const char* name) const;
  std::span<double> numbers(size_t position, const char* name) const;
  std::span<uint32_t> handles(size_t position, const char* name) const;
  /// The bytes of any ArrayBufferView.
  std::span<std::byte> bytes(size_t position, const char* name) const;
  Napi::Object object(size_t position, const char* name) const;
  Napi::Function callback(size_t position, const char* name) const;

  [[noreturn]] void reject(const std::string& what) const;

 private:
  Napi::Value at(size_t position) const { return info_[position]; }
  Napi::TypedArray typedArray(size_t position, const char* name, napi_typedarray_type type, const char* kind) const;

  const char* function_;
  const Napi::CallbackInfo& info_;
};

/// A JavaScript error with its code.
Napi::Error toJavaScript(Napi::Env env, ErrorCode code, const std::string& message);

}  // namespace heddle::binding
