// One threadsafe function per environment, referenced only while tickets are pending, called once per batch.
#include "settlement.h"

#include <atomic>

namespace heddle::binding {

namespace {

napi_value describe(napi_env env, const Failure& failure) {
  napi_value result = object(env);
  set(env, result, "code", text(env, errorCodeName(failure.code)));
  set(env, result, "message", text(env, failure.message));
  set(env, result, "origin", number(env, static_cast<double>(failure.origin)));
  set(env, result, "step", number(env, static_cast<double>(failure.step)));
  set(env, result, "stateLost", boolean(env, failure.stateLost));
  return result;
}

}  // namespace

Settlement::Settlement(napi_env env) : env_(env) {
  check(napi_create_threadsafe_function(env, nullptr, nullptr, text(env, "heddle"), 0, 1, nullptr, nullptr, this,
                                        &Settlement::deliver, &wake_));
  check(napi_unref_threadsafe_function(env, wake_));
}

void Settlement::listen(napi_value callback) {
  napi_ref reference;
  check(napi_create_reference(env_, callback, 1, &reference));
  if (callback_) napi_delete_reference(env_, callback_);
  callback_ = reference;
}

uint64_t Settlement::issue() {
  // One series for the whole process: the origin of a failure names one job only.
  static std::atomic<uint64_t> last{0};
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, wake_);
  return ++last;
}

void Settlement::withdraw(uint64_t ticket) {
  letGo(ticket);
  retire(1);
}

void Settlement::hold(uint64_t ticket, napi_value value) {
  napi_ref& reference = held_[ticket];
  check(napi_create_reference(env_, value, 1, &reference));
}

void Settlement::letGo(uint64_t ticket) {
  const auto found = held_.find(ticket);
  if (found == held_.end()) return;
  if (found->second) napi_delete_reference(env_, found->second);
  held_.erase(found);
}

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
  for (const auto& [ticket, reference] : held_) napi_delete_reference(env_, reference);
  held_.clear();
  if (callback_) napi_delete_reference(env_, callback_);
  callback_ = nullptr;
}

void Settlement::retire(size_t count) {
  pending_ -= count;
  if (pending_ == 0) napi_unref_threadsafe_function(env_, wake_);
}

void Settlement::deliver(napi_env env, napi_value, void* context, void*) {
  if (!env) return;
  try {
    static_cast<Settlement*>(context)->drain();
  } catch (const Interrupted&) {
    // What a listener throws is an uncaught exception, as in any other callback of the event loop.
    bool pending = false;
    napi_value error;
    if (napi_is_exception_pending(env, &pending) == napi_ok && pending &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
      napi_fatal_exception(env, error);
  }
}

void Settlement::drain() {
  std::vector<Settled> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(settled_);
  }
  if (batch.empty()) return;
  retire(batch.size());
  for (const Settled& settled : batch) letGo(settled.ticket);
  if (!callback_) return;
  double* tickets;
  napi_value arguments[] = {numbers(env_, batch.size(), tickets), undefined(env_)};
  bool failed = false;
  for (size_t i = 0; i < batch.size(); i++) {
    tickets[i] = static_cast<double>(batch[i].ticket);
    if (!batch[i].failure) continue;
    if (!failed) arguments[1] = list(env_, batch.size());
    failed = true;
    set(env_, arguments[1], i, describe(env_, *batch[i].failure));
  }
  napi_value callback;
  check(napi_get_reference_value(env_, callback_, &callback));
  check(napi_call_function(env_, undefined(env_), callback, 2, arguments, nullptr));
}

}  // namespace heddle::binding
