// Each reader says what it wanted and for which argument of which call.
#include "arguments.h"

namespace heddle::binding {

namespace {

constexpr double kLargestSafeInteger = 9007199254740991.0;

}  // namespace

void Arguments::reject(const std::string& what) const {
  throw Error(ErrorCode::invalidArgument, std::string(function_) + ": " + what);
}

size_t Arguments::integer(size_t position, const char* name, size_t lowest) const {
  const Napi::Value value = at(position);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  // Written so that NaN fails too.
  if (!(number >= static_cast<double>(lowest) && number <= kLargestSafeInteger) ||
      number != static_cast<double>(static_cast<uint64_t>(number)))
    reject(std::string(name) + " must be a safe integer of at least " + std::to_string(lowest));
  return static_cast<size_t>(number);
}

uint32_t Arguments::handle(size_t position, const char* name) const {
  const size_t value = integer(position, name, 1);
  if (value > UINT32_MAX) reject(std::string(name) + " is not a handle");
  return static_cast<uint32_t>(value);
}

std::string Arguments::text(size_t position, const char* name) const {
  if (!at(position).IsString()) reject(std::string(name) + " must be a string");
  return at(position).As<Napi::String>().Utf8Value();
}

Napi::TypedArray Arguments::typedArray(size_t position, const char* name, napi_typedarray_type type,
                                       const char* kind) const {
  const Napi::Value value = at(position);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    reject(std::string(name) + " must be a " + kind);
  return value.As<Napi::TypedArray>();
}

std::span<double> Arguments::numbers(size_t position, const char* name) const {
  auto array = typedArray(position, name, napi_float64_array, "Float64Array").As<Napi::Float64Array>();
  return {array.Data(), array.ElementLength()};
}

std::span<uint32_t> Arguments::handles(size_t position, const char* name) const {
  auto array = typedArray(position, name, napi_uint32_array, "Uint32Array").As<Napi::Uint32Array>();
  return {array.Data(), array.ElementLength()};
}

std::span<std::byte> Arguments::bytes(size_t position, const char* name) const {
  const Napi::Value value = at(position);
  void* data = nullptr;
  size_t length = 0;
  napi_value buffer;
  if (value.IsTypedArray()) {
    const auto array = value.As<Napi::TypedArray>();
    napi_typedarray_type type;
    size_t elements, offset;
    napi_get_typedarray_info(value.Env(), value, &type, &elements, &data, &buffer, &offset);
    length = elements * array.ElementSize();
  } else if (value.IsDataView()) {
    size_t offset;
    napi_get_dataview_info(value.Env(), value, &length, &data, &buffer, &offset);
  } else {
    reject(std::string(name) + " must be a typed array or a DataView");
  }
  return {static_cast<std::byte*>(data), length};
}

Napi::Object Arguments::object(size_t position, const char* name) const {
  if (!at(position).IsObject()) reject(std::string(name) + " must be an object");
  return at(position).As<Napi::Object>();
}

Napi::Function Arguments::callback(size_t position, const char* name) const {
  if (!at(position).IsFunction()) reject(std::string(name) + " must be a function");
  return at(position).As<Napi::Function>();
}

Napi::Error toJavaScript(Napi::Env env, ErrorCode code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, errorCodeName(code)));
  return error;
}

}  // namespace heddle::binding
