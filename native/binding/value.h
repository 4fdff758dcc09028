// Values for JavaScript. Node-API's C functions are used as they are: the C++ wrapper aborts the process where it wraps
// an error while a worker is being terminated.
#pragma once

#include <node_api.h>

#include <string>

namespace heddle::binding {

/// Thrown where Node-API did not do what it was asked: a JavaScript exception is pending, or none can be raised because
/// the thread is being terminated. Either way the call returns at once.
struct Interrupted {};

inline void check(napi_status status) {
  if (status != napi_ok) throw Interrupted{};
}

inline napi_value number(napi_env env, double value) {
  napi_value result;
  check(napi_create_double(env, value, &result));
  return result;
}

inline napi_value text(napi_env env, const std::string& value) {
  napi_value result;
  check(napi_create_string_utf8(env, value.data(), value.size(), &result));
  return result;
}

inline napi_value boolean(napi_env env, bool value) {
  napi_value result;
  check(napi_get_boolean(env, value, &result));
  return result;
}

inline napi_value undefined(napi_env env) {
  napi_value result;
  check(napi_get_undefined(env, &result));
  return result;
}

inline napi_value object(napi_env env) {
  napi_value result;
  check(napi_create_object(env, &result));
  return result;
}

inline napi_value list(napi_env env, size_t length) {
  napi_value result;
  check(napi_create_array_with_length(env, length, &result));
  return result;
}

/// A new Float64Array; `data` is where its elements are.
inline napi_value numbers(napi_env env, size_t length, double*& data) {
  napi_value memory, result;
  void* bytes = nullptr;
  check(napi_create_arraybuffer(env, length * sizeof(double), &bytes, &memory));
  check(napi_create_typedarray(env, napi_float64_array, length, memory, 0, &result));
  data = static_cast<double*>(bytes);
  return result;
}

inline void set(napi_env env, napi_value object, const char* name, napi_value value) {
  check(napi_set_named_property(env, object, name, value));
}

inline void set(napi_env env, napi_value list, size_t position, napi_value value) {
  check(napi_set_element(env, list, static_cast<uint32_t>(position), value));
}

}  // namespace heddle::binding
