// How jobs fail: a failed run marks what it should have written, and whatever reads that fails with the same failure.
#include "job.h"

namespace heddle {

RunJob::RunJob(std::shared_ptr<Client> client, uint64_t ticket, std::shared_ptr<Plan> plan, std::vector<BufferUse> uses,
               BufferPointer arena)
    : Job(std::move(client), ticket),
      plan_(std::move(plan)),
      placement_(plan_->placement()),
      uses_(std::move(uses)),
      arena_(std::move(arena)) {}

FailurePointer RunJob::execute() {
  const auto storages = plan_->callerStorages();
  std::vector<void*> caller;
  caller.reserve(uses_.size());
  for (size_t i = 0; i < uses_.size(); i++) {
    if (storages[i].kind != StorageKind::output && uses_[i]->failure) {
      const FailurePointer failure = uses_[i]->failure;
      fail(failure);
      return failure;
    }
    caller.push_back(uses_[i]->data);
  }
  try {
    plan_->run(caller, arena_ ? static_cast<char*>(arena_->data) : nullptr, *placement_, client->cancelled);
    return nullptr;
  } catch (const StepError& thrown) {
    const bool stateLost = thrown.step >= plan_->firstCellWrite();
    const auto failure = std::make_shared<const Failure>(
        Failure{thrown.error.code, thrown.error.what(), ticket, thrown.step, stateLost});
    fail(failure);
    for (size_t i = 0; stateLost && i < uses_.size(); i++)
      if (storages[i].kind == StorageKind::cell && storages[i].written) uses_[i]->failure = failure;
    return failure;
  }
}

void RunJob::fail(const FailurePointer& failure) {
  const auto storages = plan_->callerStorages();
  for (size_t i = 0; i < uses_.size(); i++)
    if (storages[i].kind == StorageKind::output) uses_[i]->failure = failure;
}

FailurePointer ReadJob::execute() {
  if (use_->failure) return use_->failure;
  if (!target_.empty()) backend_.download(target_.data(), static_cast<char*>(use_->data) + byteOffset_, target_.size());
  return nullptr;
}

FailurePointer WriteJob::execute() {
  writeBuffer(backend_, *use_, byteOffset_, staged_);
  return nullptr;
}

void writeBuffer(Backend& backend, Buffer& buffer, size_t byteOffset, std::span<const std::byte> source) {
  if (!source.empty()) backend.upload(static_cast<char*>(buffer.data) + byteOffset, source.data(), source.size());
  if (source.size() == buffer.bytes) buffer.failure = nullptr;
}

}  // namespace heddle
