// The calls of the addon, by what they work on; addon.cpp gives them their JavaScript names.
#pragma once

#include <napi.h>

#include "arguments.h"
#include "environment.h"

namespace heddle::binding {

Napi::Value devices(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value sync(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value stats(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value configure(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value listen(const Napi::CallbackInfo& info, const Arguments& arguments);

Napi::Value alloc(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value free(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value write(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value read(const Napi::CallbackInfo& info, const Arguments& arguments);

Napi::Value prepare(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value place(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value run(const Napi::CallbackInfo& info, const Arguments& arguments);
Napi::Value release(const Napi::CallbackInfo& info, const Arguments& arguments);

/// Issues a ticket and queues the job `make` builds for it.
template <typename Make>
Napi::Value enqueue(const Napi::CallbackInfo& info, Device& device, Make make) {
  const auto& settlement = Environment::of(info).settlement();
  const uint64_t ticket = settlement->issue();
  try {
    device.executor.enqueue(make(settlement, ticket));
  } catch (...) {
    settlement->withdraw(ticket);
    throw;
  }
  return Napi::Number::New(info.Env(), static_cast<double>(ticket));
}

}  // namespace heddle::binding
