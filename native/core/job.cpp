// How jobs fail: a failed run marks what it should have written, and whatever reads that fails with the same failure.
#include "job.h"

#include "device.h"
#include "replay.h"

namespace heddle {

FailurePointer Job::finish(const StepError* found) {
  if (!found) return nullptr;
  return std::make_shared<const Failure>(Failure{found->error.code, found->error.what(), ticket, found->step, false});
}

void preparePlan(Device& device, Plan& plan, Client& client, uint64_t ticket) {
  FailurePointer failure;
  const auto fail = [&](ErrorCode code, const std::string& message) {
    failure = std::make_shared<const Failure>(Failure{code, message, ticket, -1, false});
  };
  try {
    device.backend.shareThreads(plan.lane().count);
    plan.prepare(device.backend, client.cancelled);
    device.arena(plan.priority(), plan.lane(), plan.placement().arenaBytes);
  } catch (const Error& error) {
    fail(error.code, error.what());
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::outOfMemory, "plan " + plan.label() + ": the host has no memory left for its kernels");
  } catch (const std::exception& error) {
    fail(ErrorCode::internal, "plan " + plan.label() + ": " + error.what());
  }
  plan.settle(failure);
  if (!client.cancelled) client.settle(ticket, std::move(failure));
}

RunJob::RunJob(std::shared_ptr<Client> client, uint64_t ticket, Device& device, std::shared_ptr<Plan> plan,
               std::vector<BufferUse> uses, BufferPointer arena)
    : Job(std::move(client), ticket),
      device_(device),
      backend_(device.backend),
      plan_(std::move(plan)),
      uses_(std::move(uses)),
      arena_(std::move(arena)) {}

FailurePointer RunJob::start() {
  // Preparing comes before everything queued, so that a plan is ready here, or never will be.
  FailurePointer failure = plan_->failure() ? plan_->failure() : inherited();
  if (!failure && !arena_) {
    try {
      arena_ = device_.arena(plan_->priority(), plan_->lane(), plan_->placement().arenaBytes);
    } catch (const Error& error) {
      failure = std::make_shared<const Failure>(Failure{error.code, error.what(), ticket, -1, false});
    }
  }
  if (failure) {
    mark(failure, false);
    return failure;
  }
  std::vector<void*> caller;
  caller.reserve(uses_.size());
  for (const BufferUse& use : uses_) caller.push_back(use->data);
  try {
    backend_.shareThreads(plan_->lane().count);
    backend_.beginRun();
    plan_->replay().run(backend_, device_.pool, caller, arena_ ? static_cast<char*>(arena_->data) : nullptr,
                        plan_->placement(), [this] { return goOn(); });
    return nullptr;
  } catch (const StepError& thrown) {
    return fail(thrown, false);
  } catch (const Error& error) {
    return fail({error, -1}, true);
  }
}

bool RunJob::goOn() const {
  if (client->cancelled.load(std::memory_order_relaxed)) return false;
  // Plans of high priority share their lane's arena, so that their runs do not interrupt one another.
  if (!backend_.asynchronous() && plan_->priority() == Priority::normal) device_.executor.interrupt();
  return true;
}

void RunJob::eachAccess(const std::function<void(const Access&)>& visit) const {
  const auto storages = plan_->callerStorages();
  for (size_t i = 0; i < uses_.size(); i++)
    visit({*uses_[i], storages[i].kind == StorageKind::output || storages[i].written});
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
