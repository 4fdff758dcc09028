// When to record, when to record again, and when to leave it.
#include "replay.h"

namespace heddle {

namespace {

// Fewer steps are queued one by one as fast.
constexpr int64_t kFewestSteps = 4;
// A plan whose operands keep moving in new ways is not worth more attempts.
constexpr size_t kMostRecordings = 8;
// The first run makes what kernels make lazily, which could not be recorded.
constexpr size_t kRunsBefore = 1;

}  // namespace

void Replay::run(Backend& backend, const std::shared_ptr<Pool>& pool, std::span<void* const> caller, char* arena,
                 const Placement& placement, const std::function<bool()>& goOn) {
  if (runs_++ < kRunsBefore || givenUp_ || !backend.records() || plan_.stepCount() < kFewestSteps) {
    plan_.run(backend, caller, arena, placement, goOn);
    return;
  }
  try {
    if (!fits(pool, caller, arena)) {
      if (recordings_++ == kMostRecordings) throw Error(ErrorCode::unsupported, "the operands keep moving");
      record(backend, arena, placement);
    }
  } catch (const Error&) {
    // No memory for slots, or something that cannot be recorded: the run itself is as good without.
    givenUp_ = true;
    recording_ = nullptr;
    slots_.clear();
    plan_.run(backend, caller, arena, placement, goOn);
    return;
  }
  copyIn(backend, caller);
  recording_->replay();
  backend.replays++;
  copyOut(backend, caller);
}

bool Replay::fits(const std::shared_ptr<Pool>& pool, std::span<void* const> caller, char* arena) {
  const auto storages = plan_.callerStorages();
  bool same = recording_ != nullptr && arena == arena_;
  if (slots_.empty()) {
    slots_.resize(storages.size());
    addresses_.assign(caller.begin(), caller.end());
    for (size_t i = 0; i < storages.size(); i++)
      if (storages[i].kind == StorageKind::output) giveSlot(pool, i);
    same = false;
  }
  for (size_t i = 0; i < storages.size(); i++) {
    if (slots_[i].buffer || addresses_[i] == caller[i]) continue;
    giveSlot(pool, i);
    same = false;
  }
  arena_ = arena;
  return same;
}

void Replay::giveSlot(const std::shared_ptr<Pool>& pool, size_t storage) {
  slots_[storage].buffer = pool->allocate(plan_.callerStorages()[storage].bytes, plan_.label() + " slot");
  addresses_[storage] = slots_[storage].buffer->data;
}

void Replay::record(Backend& backend, char* arena, const Placement& placement) {
  recording_ = nullptr;
  backend.beginRecording();
  try {
    plan_.run(backend, addresses_, arena, placement, [] { return true; });
  } catch (const StepError& thrown) {
    backend.endRecording();
    throw thrown.error;
  }
  recording_ = backend.endRecording();
}

void Replay::copyIn(Backend& backend, std::span<void* const> caller) {
  const auto storages = plan_.callerStorages();
  for (size_t i = 0; i < storages.size(); i++)
    if (slots_[i].buffer && storages[i].kind != StorageKind::output && storages[i].bytes > 0)
      backend.copy(addresses_[i], caller[i], storages[i].bytes);
}

void Replay::copyOut(Backend& backend, std::span<void* const> caller) {
  const auto storages = plan_.callerStorages();
  for (size_t i = 0; i < storages.size(); i++)
    if (slots_[i].buffer && storages[i].written && storages[i].bytes > 0)
      backend.copy(caller[i], addresses_[i], storages[i].bytes);
}

}  // namespace heddle
