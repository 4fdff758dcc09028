// Handles: positive integers for native objects, whose reuse is detected by a generation in their upper bits.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace heddle::binding {

template <typename T>
class HandleTable {
 public:
  /// 0 where every handle is taken.
  uint32_t add(std::shared_ptr<T> object) {
    if (free_.empty()) {
      if (slots_.size() > kSlotMask) return 0;
      slots_.push_back({nullptr, 1});
      free_.push_back(static_cast<uint32_t>(slots_.size() - 1));
    }
    const uint32_t position = free_.front();
    free_.pop_front();
    slots_[position].object = std::move(object);
    return slots_[position].generation << kSlotBits | position;
  }

  /// nullptr where the handle is not, or no longer, in use.
  const std::shared_ptr<T>& find(uint32_t handle) const {
    static const std::shared_ptr<T> kNone;
    const uint32_t position = handle & kSlotMask;
    if (position >= slots_.size() || slots_[position].generation != handle >> kSlotBits) return kNone;
    return slots_[position].object;
  }

  std::shared_ptr<T> remove(uint32_t handle) {
    if (!find(handle)) return nullptr;
    Slot& slot = slots_[handle & kSlotMask];
    std::shared_ptr<T> object = std::move(slot.object);
    slot.object = nullptr;
    slot.generation = slot.generation == kLastGeneration ? 1 : slot.generation + 1;
    // First freed, first reused: a stale handle stays detectable for longest.
    free_.push_back(handle & kSlotMask);
    return object;
  }

 private:
  static constexpr uint32_t kSlotBits = 22;
  static constexpr uint32_t kSlotMask = (1u << kSlotBits) - 1;
  static constexpr uint32_t kLastGeneration = (1u << (32 - kSlotBits)) - 1;

  struct Slot {
    std::shared_ptr<T> object;
    uint32_t generation;  // never 0, so that no handle is
  };

  std::vector<Slot> slots_;
  std::deque<uint32_t> free_;
};

}  // namespace heddle::binding
