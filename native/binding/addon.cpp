// The addon's entry: its exports, and the border where exceptions become JavaScript errors.
#include <napi.h>

#include <new>

#include "../schema.gen.h"
#include "calls.h"

namespace heddle::binding {

namespace {

using Call = Napi::Value (*)(const Napi::CallbackInfo&, const Arguments&);

struct NamedCall {
  const char* name;
  Call call;
};

constexpr NamedCall kCalls[] = {
    {"devices", devices},   {"sync", sync},   {"stats", stats}, {"configure", configure}, {"listen", listen},
    {"alloc", alloc},       {"free", free},   {"write", write}, {"read", read},           {"prepare", prepare},
    {"place", place},       {"run", run},     {"release", release},
};

Napi::Value guarded(const Napi::CallbackInfo& info) {
  const auto& named = *static_cast<const NamedCall*>(info.Data());
  try {
    return named.call(info, Arguments(named.name, info));
  } catch (const Error& error) {
    throw toJavaScript(info.Env(), error.code, error.what());
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw toJavaScript(info.Env(), ErrorCode::outOfMemory,
                       std::string(named.name) + ": the host has no memory left for this call");
  } catch (const std::exception& error) {
    throw toJavaScript(info.Env(), ErrorCode::internal, std::string(named.name) + ": " + error.what());
  }
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  try {
    env.SetInstanceData(new Environment(env));
  } catch (const Error& error) {
    throw toJavaScript(env, error.code, error.what());
  }
  exports.Set("schemaHash", kSchemaHash);
  for (const NamedCall& named : kCalls)
    exports.Set(named.name, Napi::Function::New(env, guarded, named.name, const_cast<NamedCall*>(&named)));
  return exports;
}

}  // namespace

NODE_API_MODULE(heddle, initialise)

}  // namespace heddle::binding
