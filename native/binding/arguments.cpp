// Each reader says what it wanted and for which argument of which call.
#include "arguments.h"

namespace heddle::binding {

namespace {

constexpr size_t kLargestSafeInteger = 9007199254740991;

/// Whether the number is an integer from `lowest` to `highest`, written so that NaN is not.
bool isInteger(double value, size_t lowest, size_t highest) {
  return value >= static_cast<double>(lowest) && value <= static_cast<double>(highest) &&
         value == static_cast<double>(static_cast<uint64_t>(value));
}

size_t elementBytes(napi_typedarray_type type) {
  switch (type) {
    case napi_int16_array:
    case napi_uint16_array: return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array: return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array: return 8;
    default: return 1;
  }
}

}  // namespace

void Arguments::reject(const std::string& what) const {
  throw Error(ErrorCode::invalidArgument, std::string(function_) + ": " + what);
}

bool Arguments::is(napi_value value, napi_valuetype type) const {
  napi_valuetype actual;
  check(napi_typeof(env, value, &actual));
  return actual == type;
}

size_t Arguments::integer(size_t position, const char* name, size_t lowest) const {
  double value = -1;
  if (is(at(position), napi_number)) check(napi_get_value_double(env, at(position), &value));
  if (!isInteger(value, lowest, kLargestSafeInteger))
    reject(std::string(name) + " must be a safe integer of at least " + std::to_string(lowest));
  return static_cast<size_t>(value);
}

uint32_t Arguments::handle(size_t position, const char* name) const {
  const size_t value = integer(position, name, 1);
  if (value > UINT32_MAX) reject(std::string(name) + " is not a handle");
  return static_cast<uint32_t>(value);
}

std::string Arguments::text(size_t position, const char* name) const {
  if (!is(at(position), napi_string)) reject(std::string(name) + " must be a string");
  size_t length = 0;
  check(napi_get_value_string_utf8(env, at(position), nullptr, 0, &length));
  std::string result(length, '\0');
  check(napi_get_value_string_utf8(env, at(position), result.data(), length + 1, &length));
  return result;
}

Arguments::View Arguments::typedArray(size_t position, const char* name) const {
  bool matches = false;
  check(napi_is_typedarray(env, at(position), &matches));
  if (!matches) reject(std::string(name) + " must be a typed array");
  View view;
  check(napi_get_typedarray_info(env, at(position), &view.type, &view.length, &view.data, nullptr, nullptr));
  return view;
}

std::span<double> Arguments::numbers(size_t position, const char* name) const {
  const View view = typedArray(position, name);
  if (view.type != napi_float64_array) reject(std::string(name) + " must be a Float64Array");
  return {static_cast<double*>(view.data), view.length};
}

std::span<uint32_t> Arguments::handles(size_t position, const char* name) const {
  const View view = typedArray(position, name);
  if (view.type != napi_uint32_array) reject(std::string(name) + " must be a Uint32Array");
  return {static_cast<uint32_t*>(view.data), view.length};
}

std::span<std::byte> Arguments::bytes(size_t position, const char* name) const {
  bool isDataView = false;
  check(napi_is_dataview(env, at(position), &isDataView));
  if (isDataView) {
    void* data = nullptr;
    size_t length = 0;
    check(napi_get_dataview_info(env, at(position), &length, &data, nullptr, nullptr));
    return {static_cast<std::byte*>(data), length};
  }
  const View view = typedArray(position, name);
  return {static_cast<std::byte*>(view.data), view.length * elementBytes(view.type)};
}

napi_value Arguments::callback(size_t position, const char* name) const {
  if (!is(at(position), napi_function)) reject(std::string(name) + " must be a function");
  return at(position);
}

bool Arguments::flag(size_t position, const char* name) const {
  if (is(at(position), napi_undefined)) return false;
  if (!is(at(position), napi_boolean)) reject(std::string(name) + " must be true or false");
  bool value = false;
  check(napi_get_value_bool(env, at(position), &value));
  return value;
}

size_t Arguments::option(size_t position, const char* name, size_t largest) const {
  if (!is(at(position), napi_object)) reject("options must be an object");
  napi_value value;
  check(napi_get_named_property(env, at(position), name, &value));
  if (is(value, napi_undefined)) return 0;
  double number = 0;
  if (is(value, napi_number)) check(napi_get_value_double(env, value, &number));
  if (!isInteger(number, 1, largest))
    reject(std::string(name) + " must be an integer from 1 to " + std::to_string(largest));
  return static_cast<size_t>(number);
}

}  // namespace heddle::binding
