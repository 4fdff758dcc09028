// Replays a plan's run: what its kernels queued once is queued again as a whole, at the same addresses.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "backend.h"
#include "buffer.h"
#include "plan.h"
#include "pool.h"

namespace heddle {

/// One per plan, on its executor thread. A recording sees fixed addresses. Of the caller's storages, results always lie
/// elsewhere, and others turn out to: those get a slot of their own that they are copied to and from around the replay.
class Replay {
 public:
  explicit Replay(Plan& plan) : plan_(plan) {}

  /// Queues a run: step by step at first, then by a recording. Throws StepError.
  void run(Backend& backend, const std::shared_ptr<Pool>& pool, std::span<void* const> caller, char* arena,
           const Placement& placement, const std::function<bool()>& goOn);

 private:
  struct Slot {
    BufferPointer buffer;  // none where the caller's own address is used
  };

  /// Whether the recording fits these addresses; storages that have moved are given slots.
  bool fits(const std::shared_ptr<Pool>& pool, std::span<void* const> caller, char* arena);
  void giveSlot(const std::shared_ptr<Pool>& pool, size_t storage);
  void record(Backend& backend, char* arena, const Placement& placement);
  void copyIn(Backend& backend, std::span<void* const> caller);
  void copyOut(Backend& backend, std::span<void* const> caller);

  Plan& plan_;
  size_t runs_ = 0;
  size_t recordings_ = 0;
  bool givenUp_ = false;
  std::vector<Slot> slots_;       // by the caller's storage
  std::vector<void*> addresses_;  // as recorded: the slot's or the caller's
  char* arena_ = nullptr;
  std::unique_ptr<Recording> recording_;
};

}  // namespace heddle
