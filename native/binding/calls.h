// The calls of the addon, by what they work on; addon.cpp gives them their JavaScript names.
#pragma once

#include "arguments.h"
#include "environment.h"

namespace heddle::binding {

napi_value devices(const Arguments& arguments);
napi_value inspect(const Arguments& arguments);
napi_value place(const Arguments& arguments);
napi_value sync(const Arguments& arguments);
napi_value stats(const Arguments& arguments);
napi_value configure(const Arguments& arguments);
napi_value choices(const Arguments& arguments);
napi_value choose(const Arguments& arguments);
napi_value profile(const Arguments& arguments);
napi_value listen(const Arguments& arguments);

napi_value alloc(const Arguments& arguments);
napi_value free(const Arguments& arguments);
napi_value write(const Arguments& arguments);
napi_value read(const Arguments& arguments);

napi_value prepare(const Arguments& arguments);
napi_value waitFor(const Arguments& arguments);
napi_value memory(const Arguments& arguments);
napi_value run(const Arguments& arguments);
napi_value release(const Arguments& arguments);

/// Issues a ticket and queues the job `make` builds for it.
template <typename Make>
napi_value enqueue(napi_env env, Device& device, Make make) {
  const auto& settlement = Environment::of(env).settlement();
  const uint64_t ticket = settlement->issue();
  try {
    device.executor.enqueue(make(settlement, ticket));
  } catch (...) {
    settlement->withdraw(ticket);
    throw;
  }
  return number(env, static_cast<double>(ticket));
}

}  // namespace heddle::binding
