// How jobs fail: a failed run marks what it should have written, and whatever reads that fails with the same failure.
#include "job.h"

#include "replay.h"

namespace heddle {

FailurePointer Job::finish(const StepError* found) {
  if (!found) return nullptr;
  return std::make_shared<const Failure>(Failure{found->error.code, found->error.what(), ticket, found->step, false});
}

RunJob::RunJob(std::shared_ptr<Client> client, uint64_t ticket, Backend& backend, std::shared_ptr<Pool> pool,
               std::shared_ptr<Plan> plan, std::vector<BufferUse> uses, BufferPointer arena)
    : Job(std::move(client), ticket),
      backend_(backend),
      pool_(std::move(pool)),
      plan_(std::move(plan)),
      placement_(plan_->placement()),
      uses_(std::move(uses)),
      arena_(std::move(arena)) {}

FailurePointer RunJob::start() {
  if (const FailurePointer failure = inherited()) {
    mark(failure, false);
    return failure;
  }
  std::vector<void*> caller;
  caller.reserve(uses_.size());
  for (const BufferUse& use : uses_) caller.push_back(use->data);
  try {
    backend_.beginRun();
    plan_->replay().run(backend_, pool_, caller, arena_ ? static_cast<char*>(arena_->data) : nullptr, *placement_,
                        client->cancelled);
    return nullptr;
  } catch (const StepError& thrown) {
    return fail(thrown, false);
  } catch (const Error& error) {
    return fail({error, -1}, true);
  }
}

FailurePointer RunJob::finish(const StepError* found) {
  if (found) return fail(*found, true);
  // What an operand lacks may have come out only after this run was queued behind the one that should have made it.
  const FailurePointer failure = backend_.asynchronous() ? inherited() : nullptr;
  if (failure) mark(failure, true);
  return failure;
}

FailurePointer RunJob::inherited() const {
  const auto storages = plan_->callerStorages();
  for (size_t i = 0; i < uses_.size(); i++)
    if (storages[i].kind != StorageKind::output && uses_[i]->failure) return uses_[i]->failure;
  return nullptr;
}

/// On the host a run ends at the step that threw. One that goes wrong on the device goes through all its steps, of
/// which those behind the one that reported write cells only where they are not guarded; where no step did, all may
/// have.
FailurePointer RunJob::fail(const StepError& thrown, bool ranWhole) {
  const int64_t count = plan_->stepCount();
  const int64_t lastWriting = ranWhole && thrown.step < 0 ? count - 1 : thrown.step;
  const bool stateLost =
      plan_->firstCellWrite() <= lastWriting || (ranWhole && plan_->firstUnguardedCellWrite() < count);
  const auto failure =
      std::make_shared<const Failure>(Failure{thrown.error.code, thrown.error.what(), ticket, thrown.step, stateLost});
  mark(failure, stateLost);
  return failure;
}

void RunJob::mark(const FailurePointer& failure, bool stateLost) {
  const auto storages = plan_->callerStorages();
  for (size_t i = 0; i < uses_.size(); i++)
    if (storages[i].kind == StorageKind::output ||
        (stateLost && storages[i].kind == StorageKind::cell && storages[i].written))
      uses_[i]->failure = failure;
}

FailurePointer ReadJob::start() {
  if (use_->failure) return use_->failure;
  if (!target_.empty()) download_ = backend_.download(static_cast<char*>(use_->data) + byteOffset_, target_.size());
  return nullptr;
}

FailurePointer ReadJob::finish(const StepError* found) {
  if (found) return Job::finish(found);
  if (use_->failure) return use_->failure;
  if (download_) download_->deliver(target_.data());
  return nullptr;
}

FailurePointer WriteJob::start() {
  writeBuffer(backend_, *use_, byteOffset_, staged_);
  return nullptr;
}

FailurePointer LentWriteJob::start() {
  writeBuffer(backend_, *use_, byteOffset_, source_);
  return nullptr;
}

void writeBuffer(Backend& backend, Buffer& buffer, size_t byteOffset, std::span<const std::byte> source) {
  if (!source.empty()) backend.upload(static_cast<char*>(buffer.data) + byteOffset, source.data(), source.size());
  if (source.size() == buffer.bytes) buffer.failure = nullptr;
}

}  // namespace heddle
