// The addon's entry: its exports, and the border where exceptions become JavaScript errors.
#include <new>

#include "../schema.gen.h"
#include "calls.h"

namespace heddle::binding {

namespace {

struct NamedCall {
  const char* name;
  napi_value (*call)(const Arguments&);
};

constexpr NamedCall kCalls[] = {
    {"devices", devices}, {"inspect", inspect}, {"sync", sync},       {"stats", stats},     {"configure", configure},
    {"choices", choices}, {"choose", choose},   {"listen", listen},   {"alloc", alloc},     {"free", free},
    {"write", write},     {"read", read},       {"prepare", prepare}, {"waitFor", waitFor}, {"memory", memory},
    {"run", run},         {"release", release}, {"profile", profile}, {"place", place},
};

/// Leaves a JavaScript exception behind, unless there is one already or the thread is being terminated.
void raise(napi_env env, ErrorCode code, const std::string& message) {
  napi_throw_error(env, errorCodeName(code), message.c_str());
}

template <typename Body>
napi_value guarded(napi_env env, const char* name, Body body) {
  try {
    return body();
  } catch (const Interrupted&) {
    bool pending = false;
    if (napi_is_exception_pending(env, &pending) == napi_ok && !pending)
      raise(env, ErrorCode::internal, std::string(name) + ": Node-API refused a call");
  } catch (const Error& error) {
    raise(env, error.code, error.what());
  } catch (const std::bad_alloc&) {
    raise(env, ErrorCode::outOfMemory, std::string(name) + ": the host has no memory left for this call");
  } catch (const std::exception& error) {
    raise(env, ErrorCode::internal, std::string(name) + ": " + error.what());
  }
  return nullptr;
}

napi_value dispatch(napi_env env, napi_callback_info info) {
  std::array<napi_value, Arguments::kMost> values;
  size_t count = values.size();
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, values.data(), nullptr, &data) != napi_ok) return nullptr;
  const auto& named = *static_cast<const NamedCall*>(data);
  return guarded(env, named.name, [&] { return named.call(Arguments(env, named.name, values)); });
}

}  // namespace

napi_value initialise(napi_env env, napi_value exports) {
  return guarded(env, "heddle", [&] {
    Environment::open(env);
    set(env, exports, "schemaHash", text(env, kSchemaHash));
    for (const NamedCall& named : kCalls) {
      napi_value function;
      check(
          napi_create_function(env, named.name, NAPI_AUTO_LENGTH, dispatch, const_cast<NamedCall*>(&named), &function));
      set(env, exports, named.name, function);
    }
    return exports;
  });
}

}  // namespace heddle::binding

NAPI_MODULE_INIT() { return heddle::binding::initialise(env, exports); }
