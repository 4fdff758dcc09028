// What the executor queues: runs, reads, writes and markers, each with the client that waits for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "backend.h"
#include "buffer.h"
#include "plan.h"

namespace heddle {

class Device;

/// Whoever queues jobs. `settle` is called on a thread of the executor, never after the client was cancelled.
class Client {
 public:
  virtual ~Client() = default;
  virtual void settle(uint64_t ticket, FailurePointer failure) noexcept = 0;
  std::atomic<bool> cancelled{false};
};

/// A buffer that a job uses.
struct Access {
  Buffer& buffer;
  bool writes;
};

class Job {
 public:
  Job(std::shared_ptr<Client> client, uint64_t ticket) : client(std::move(client)), ticket(ticket) {}
  virtual ~Job() = default;
  /// Does the job, or queues it on an asynchronous device. Why it failed; nullptr where it did not.
  virtual FailurePointer start() = 0;
  /// What is left to do once the device has done its part; `found` is what went wrong there. Why the job failed.
  virtual FailurePointer finish(const StepError* found);
  /// Whether it uses memory that goes with its client, so that the client must not go meanwhile.
  virtual bool touchesClient() const { return false; }
  /// Whether it goes before jobs in the normal queue where it shares with them nothing that either writes.
  virtual bool mayOvertake() const { return false; }
  /// Of a run of high priority, where it takes place.
  virtual const Lane* lane() const { return nullptr; }
  /// Calls `visit` with each buffer it uses.
  virtual void eachAccess(const std::function<void(const Access&)>& visit) const { (void)visit; }
  /// What a profile calls it.
  virtual std::string name() const = 0;

  const std::shared_ptr<Client> client;
  const uint64_t ticket;
};

/// Runs a plan. `uses` are the caller's storages in order; `arena` is what a plan that is not ready yet finds by
/// itself.
class RunJob : public Job {
 public:
  RunJob(std::shared_ptr<Client> client, uint64_t ticket, Device& device, std::shared_ptr<Plan> plan,
         std::vector<BufferUse> uses, BufferPointer arena);
  FailurePointer start() override;
  FailurePointer finish(const StepError* found) override;
  bool mayOvertake() const override { return plan_->priority() == Priority::high; }
  const Lane* lane() const override { return mayOvertake() ? &plan_->lane() : nullptr; }
  void eachAccess(const std::function<void(const Access&)>& visit) const override;
  std::string name() const override { return plan_->label(); }

 private:
  /// Before each step: whether to go on. Lets what may come first go first.
  bool goOn() const;
  /// The failure of an operand that is read.
  FailurePointer inherited() const;
  FailurePointer fail(const StepError& thrown, bool ranWhole);
  void mark(const FailurePointer& failure, bool stateLost);

  Device& device_;
  Backend& backend_;
  std::shared_ptr<Plan> plan_;
  std::vector<BufferUse> uses_;
  BufferPointer arena_;
};

class ReadJob : public Job {
 public:
  ReadJob(std::shared_ptr<Client> client, uint64_t ticket, Backend& backend, BufferPointer buffer, size_t byteOffset,
          std::span<std::byte> target)
      : Job(std::move(client), ticket),
        backend_(backend),
        use_(std::move(buffer)),
        byteOffset_(byteOffset),
        target_(target) {}
  FailurePointer start() override;
  FailurePointer finish(const StepError* found) override;
  bool touchesClient() const override { return true; }
  bool mayOvertake() const override { return true; }
  void eachAccess(const std::function<void(const Access&)>& visit) const override { visit({*use_, false}); }
  std::string name() const override { return "read"; }

 private:
  Backend& backend_;
  BufferUse use_;
  size_t byteOffset_;
  std::span<std::byte> target_;
  std::unique_ptr<Download> download_;
};

/// Writes a staged copy of the caller's bytes.
class WriteJob : public Job {
 public:
  WriteJob(std::shared_ptr<Client> client, uint64_t ticket, Backend& backend, BufferPointer buffer, size_t byteOffset,
           std::vector<std::byte> staged)
      : Job(std::move(client), ticket),
        backend_(backend),
        use_(std::move(buffer)),
        byteOffset_(byteOffset),
        staged_(std::move(staged)) {}
  FailurePointer start() override;
  bool mayOvertake() const override { return true; }
  void eachAccess(const std::function<void(const Access&)>& visit) const override { visit({*use_, true}); }
  std::string name() const override { return "write"; }

 private:
  Backend& backend_;
  BufferUse use_;
  size_t byteOffset_;
  std::vector<std::byte> staged_;
};

/// Writes the caller's bytes, which the caller keeps as they are until the job has settled.
class LentWriteJob : public Job {
 public:
  LentWriteJob(std::shared_ptr<Client> client, uint64_t ticket, Backend& backend, BufferPointer buffer,
               size_t byteOffset, std::span<const std::byte> source)
      : Job(std::move(client), ticket),
        backend_(backend),
        use_(std::move(buffer)),
        byteOffset_(byteOffset),
        source_(source) {}
  FailurePointer start() override;
  bool touchesClient() const override { return true; }
  bool mayOvertake() const override { return true; }
  void eachAccess(const std::function<void(const Access&)>& visit) const override { visit({*use_, true}); }
  std::string name() const override { return "write"; }

 private:
  Backend& backend_;
  BufferUse use_;
  size_t byteOffset_;
  std::span<const std::byte> source_;
};

/// Does nothing: it settles once all earlier work has.
class SyncJob : public Job {
 public:
  using Job::Job;
  FailurePointer start() override { return nullptr; }
  std::string name() const override { return "synchronize"; }
};

/// Makes a plan's kernels, sees to it that the arena is large enough, and settles the ticket. For the executor thread.
void preparePlan(Device& device, Plan& plan, Client& client, uint64_t ticket);

/// Writes now, or queues it on an asynchronous device. Only for buffers that no queued job uses. Rewriting the whole
/// buffer makes a failed one good again.
void writeBuffer(Backend& backend, Buffer& buffer, size_t byteOffset, std::span<const std::byte> source);

}  // namespace heddle
