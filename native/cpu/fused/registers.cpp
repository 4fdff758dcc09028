// Linear scan over a phase's steps: a register is free again after the last step that reads its value.
#include "registers.h"

namespace heddle::fused {
namespace {

constexpr int64_t kLine = 64;  // bytes: registers start at cache lines, whole vectors

/// Values narrower than 4 bytes take 4: two widths of registers are reused better than four.
int width(int bytes) { return bytes < 4 ? 4 : bytes; }

}  // namespace

void RegisterPlan::place(int value) {
  const ValuePlace& place = values_[static_cast<size_t>(value)];
  if (place.memory || slotOf_[static_cast<size_t>(value)] >= 0) return;
  if (place.single) {
    slotOf_[static_cast<size_t>(value)] = static_cast<int>(singles_.size());
    singles_.push_back(value);
    return;
  }
  std::vector<int>& free = free_[static_cast<size_t>(width(place.bytes))];
  int slot = static_cast<int>(slotBytes_.size());
  // A resident value is there before any other phase's values, so it may not take over a used register.
  if (!free.empty() && !place.resident) {
    slot = free.back();
    free.pop_back();
  } else {
    slotBytes_.push_back(width(place.bytes));
  }
  slotOf_[static_cast<size_t>(value)] = slot;
}

void RegisterPlan::release(int value) {
  const ValuePlace& place = values_[static_cast<size_t>(value)];
  if (place.memory || place.single || place.resident) return;
  free_[static_cast<size_t>(width(place.bytes))].push_back(slotOf_[static_cast<size_t>(value)]);
}

void RegisterPlan::addPhase(const Phase& phase, int kept, int given) {
  slotOf_.resize(values_.size(), -1);
  if (given >= 0) place(given);
  std::vector<size_t> last(values_.size(), 0);  // step number + 1
  std::vector<int> own;
  if (given >= 0) own.push_back(given);
  for (size_t s = 0; s < phase.steps.size(); s++) {
    const Step& step = phase.steps[s];
    const bool reads = step.kind == Step::Kind::compute || step.kind == Step::Kind::draw ||
                       step.kind == Step::Kind::store || step.kind == Step::Kind::stream ||
                       step.kind == Step::Kind::repeat;
    if (reads) {
      last[static_cast<size_t>(step.a)] = s + 1;
      if (step.kind != Step::Kind::repeat) {
        last[static_cast<size_t>(step.b)] = s + 1;
        last[static_cast<size_t>(step.c)] = s + 1;
      }
    }
    if (step.out >= 0) {
      if (last[static_cast<size_t>(step.out)] < s + 1) last[static_cast<size_t>(step.out)] = s + 1;
      own.push_back(step.out);
    }
  }
  if (kept >= 0) last[static_cast<size_t>(kept)] = phase.steps.size() + 1;
  std::vector<bool> released(values_.size(), true);
  for (const int value : own) released[static_cast<size_t>(value)] = false;
  const auto releaseDead = [&](size_t s, int except) {
    for (const int value : own) {
      const size_t v = static_cast<size_t>(value);
      if (released[v] || value == except || last[v] != s + 1 || slotOf_[v] < 0) continue;
      released[v] = true;
      release(value);
    }
  };
  for (size_t s = 0; s < phase.steps.size(); s++) {
    const Step& step = phase.steps[s];
    // Element for element a result may take the place of an operand; a draw reads ahead and may not.
    const bool inPlace = step.kind == Step::Kind::compute;
    if (inPlace) releaseDead(s, step.out);
    if (step.out >= 0) place(step.out);
    releaseDead(s, -1);
  }
  for (const int value : own) {
    if (released[static_cast<size_t>(value)] || slotOf_[static_cast<size_t>(value)] < 0) continue;
    released[static_cast<size_t>(value)] = true;
    release(value);
  }
}

void RegisterPlan::finish(Executable& executable) {
  std::vector<int64_t> offsets;
  int64_t end = static_cast<int64_t>(singles_.size()) * kLine;
  for (const int64_t bytes : slotBytes_) {
    offsets.push_back(end);
    end += (bytes * block_ + kLine - 1) / kLine * kLine;
    executable.bytesPerElement += bytes;
  }
  for (size_t value = 0; value < values_.size(); value++) {
    if (values_[value].memory || slotOf_[value] < 0) continue;
    const int64_t offset =
        values_[value].single ? slotOf_[value] * kLine : offsets[static_cast<size_t>(slotOf_[value])];
    executable.registers.emplace_back(static_cast<int>(value), offset);
  }
  executable.registerBytes = end;
}

}  // namespace heddle::fused
