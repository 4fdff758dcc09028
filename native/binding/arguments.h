// Reads arguments strictly: a value of the wrong type or range is an error that names it, never undefined behaviour.
#pragma once

#include <array>
#include <span>
#include <string>

#include "../core/error.h"
#include "value.h"

namespace heddle::binding {

/// The arguments of one call; `function` is what errors call it. What is missing reads as undefined.
class Arguments {
 public:
  static constexpr size_t kMost = 5;

  Arguments(napi_env env, const char* function, const std::array<napi_value, kMost>& values)
      : env(env), function_(function), values_(values) {}

  /// A safe integer of at least `lowest`.
  size_t integer(size_t position, const char* name, size_t lowest = 0) const;
  uint32_t handle(size_t position, const char* name) const;
  std::string text(size_t position, const char* name) const;
  std::span<double> numbers(size_t position, const char* name) const;
  std::span<uint32_t> handles(size_t position, const char* name) const;
  /// The bytes of any ArrayBufferView.
  std::span<std::byte> bytes(size_t position, const char* name) const;
  napi_value callback(size_t position, const char* name) const;
  /// A property of an object as an integer from 1 to `largest`; 0 where it is not given.
  size_t option(size_t position, const char* name, size_t largest) const;

  /// A boolean; false where it is not given.
  bool flag(size_t position, const char* name) const;

  bool given(size_t position) const { return !is(at(position), napi_undefined); }
  napi_value at(size_t position) const { return values_[position]; }
  [[noreturn]] void reject(const std::string& what) const;

  const napi_env env;

 private:
  struct View {
    napi_typedarray_type type;
    size_t length;  // in elements
    void* data;
  };
  bool is(napi_value value, napi_valuetype type) const;
  View typedArray(size_t position, const char* name) const;

  const char* function_;
  const std::array<napi_value, kMost>& values_;
};

}  // namespace heddle::binding
