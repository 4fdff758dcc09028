// One threadsafe function per environment, referenced only while tickets are pending, called once per batch.
#include "settlement.h"

#include <atomic>

#include "arguments.h"

namespace heddle::binding {

namespace {

Napi::Object describe(Napi::Env env, const Failure& failure) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("code", errorCodeName(failure.code));
  object.Set("message", failure.message);
  object.Set("origin", static_cast<double>(failure.origin));
  object.Set("step", static_cast<double>(failure.step));
  object.Set("stateLost", failure.stateLost);
  return object;
}

}  // namespace

Settlement::Settlement(Napi::Env env) : env_(env) {
  const auto name = Napi::String::New(env, "heddle");
  const napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                                             this, &Settlement::deliver, &wake_);
  if (status != napi_ok) throw Error(ErrorCode::internal, "the event loop takes no more threadsafe functions");
  napi_unref_threadsafe_function(env, wake_);
}

void Settlement::listen(Napi::Function callback) { callback_ = Napi::Persistent(callback); }

uint64_t Settlement::issue() {
  // One series for the whole process: the origin of a failure names one job only.
  static std::atomic<uint64_t> last{0};
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, wake_);
  return ++last;
}

void Settlement::withdraw(uint64_t ticket) {
  held_.erase(ticket);
  retire(1);
}

void Settlement::hold(uint64_t ticket, Napi::Object value) { held_.emplace(ticket, Napi::Persistent(value)); }

void Settlement::settle(uint64_t ticket, FailurePointer failure) noexcept {
  const std::lock_guard lock(mutex_);
  if (!wake_) return;
  settled_.push_back({ticket, std::move(failure)});
  if (settled_.size() == 1) napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void Settlement::close() {
  {
    const std::lock_guard lock(mutex_);
    napi_release_threadsafe_function(wake_, napi_tsfn_abort);
    wake_ = nullptr;
    settled_.clear();
  }
  held_.clear();
  callback_.Reset();
}

void Settlement::retire(size_t count) {
  pending_ -= count;
  if (pending_ == 0) napi_unref_threadsafe_function(env_, wake_);
}

void Settlement::deliver(napi_env env, napi_value, void* context, void*) {
  if (env) static_cast<Settlement*>(context)->drain(env);
}

void Settlement::drain(Napi::Env env) {
  Napi::HandleScope scope(env);
  std::vector<Settled> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(settled_);
  }
  if (batch.empty()) return;
  retire(batch.size());
  auto tickets = Napi::Float64Array::New(env, batch.size());
  Napi::Value failures = env.Undefined();
  for (size_t i = 0; i < batch.size(); i++) {
    tickets[i] = static_cast<double>(batch[i].ticket);
    held_.erase(batch[i].ticket);
    if (!batch[i].failure) continue;
    if (failures.IsUndefined()) failures = Napi::Array::New(env, batch.size());
    failures.As<Napi::Array>().Set(static_cast<uint32_t>(i), describe(env, *batch[i].failure));
  }
  if (callback_.IsEmpty()) return;
  try {
    callback_.Call({tickets, failures});
  } catch (const Napi::Error& error) {
    // What a listener throws is an uncaught exception, as in any other callback of the event loop.
    if (!error.IsEmpty()) napi_fatal_exception(env, error.Value());
  }
}

}  // namespace heddle::binding
