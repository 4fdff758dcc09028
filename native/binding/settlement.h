// Carries settled tickets from the executor's thread to the event loop, in batches.
#pragma once

#include <mutex>
#include <unordered_map>
#include <vector>

#include "../core/job.h"
#include "value.h"

namespace heddle::binding {

/// The client of one environment. Everything but `settle` is for the environment's own thread.
class Settlement : public Client {
 public:
  explicit Settlement(napi_env env);

  void listen(napi_value callback);

  /// A new ticket; until it is settled it keeps the process alive.
  uint64_t issue();
  /// Takes back the ticket issued last, whose job was never enqueued.
  void withdraw(uint64_t ticket);
  /// Keeps a value from being collected until the ticket is settled.
  void hold(uint64_t ticket, napi_value value);

  void settle(uint64_t ticket, FailurePointer failure) noexcept override;

  /// The environment goes: nothing is delivered any more.
  void close();

 private:
  struct Settled {
    uint64_t ticket;
    FailurePointer failure;
  };

  static void deliver(napi_env env, napi_value, void* context, void*);
  void drain();
  void letGo(uint64_t ticket);
  void retire(size_t count);

  napi_env env_;
  napi_ref callback_ = nullptr;
  std::unordered_map<uint64_t, napi_ref> held_;
  size_t pending_ = 0;

  std::mutex mutex_;  // guards what follows: the executor's thread is the other side
  napi_threadsafe_function wake_ = nullptr;
  std::vector<Settled> settled_;
};

}  // namespace heddle::binding
