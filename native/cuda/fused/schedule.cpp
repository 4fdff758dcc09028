// Everything here follows from the program alone, so that the order of every sum does too.
#include "schedule.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace heddle::cuda {
namespace {

constexpr int64_t kThreads = 256;
/// Blocks that keep the largest devices busy: reductions with fewer results are cut into parts.
constexpr int64_t kBusy = 1024;
/// Bytes of tiles in a block's shared memory.
constexpr int64_t kMostShared = 32 << 10;

size_t at(int position) { return static_cast<size_t>(position); }
int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t powerAbove(int64_t value) { return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(value))); }
int64_t powerBelow(int64_t value) { return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(value))); }

int64_t countOf(const std::vector<Axis>& axes) {
  int64_t count = 1;
  for (const Axis& axis : axes) count *= axis.extent;
  return count;
}

/// Marks what the phase's stores (and `argument`) need; a reduce is a given value.
void close(const Program& program, Phase& phase, int argument) {
  phase.needed.assign(program.instructions.size(), false);
  for (const int store : phase.stores) phase.needed[at(program.stores[at(store)].value)] = true;
  if (argument >= 0) phase.needed[at(argument)] = true;
  for (size_t i = program.instructions.size(); i-- > 0;) {
    const Instruction& instruction = program.instructions[i];
    if (!phase.needed[i] || instruction.op == Opcode::reduce) continue;
    for (int arg = 0; arg < instruction.argCount; arg++) phase.needed[at(instruction.args[arg])] = true;
  }
}

/// Whether any walk's offsets, or the count of coordinates, need more than 31 bits. Packs and the grid's stride go a
/// little beyond, hence the distance kept.
bool isWide(const Schedule& schedule) {
  constexpr __int128 kLimit = (__int128{1} << 31) - (1 << 28);
  if (schedule.keptCount > kLimit || schedule.reducedCount > kLimit) return true;
  for (size_t a = 0; a < schedule.accesses.size(); a++) {
    __int128 reach = 0;
    for (const std::vector<Axis>* axes : {&schedule.kept, &schedule.reduced})
      for (const Axis& axis : *axes) reach += static_cast<__int128>(std::abs(axis.strides[a])) * (axis.extent - 1);
    if (reach > kLimit) return true;
  }
  return false;
}

/// The most neighbours that every walk takes in whole packs: of 16 bytes for the narrowest that moves.
int packOf(const Program& program, const Schedule& schedule, const std::vector<Axis>& axes) {
  if (axes.empty()) return 1;
  int64_t narrowest = 16;
  for (size_t a = 0; a < schedule.accesses.size(); a++) {
    const Access& access = schedule.accesses[a];
    const int64_t stride = axes.front().strides[a];
    if (access.kind == Access::Kind::iota) continue;
    // A store of what comes after the reduction is made one by one.
    const bool single = access.kind == Access::Kind::store && schedule.kind != Schedule::Kind::elements &&
                        std::find(schedule.after.stores.begin(), schedule.after.stores.end(), access.position) !=
                            schedule.after.stores.end();
    if (single) continue;
    if (stride != 1 && (stride != 0 || access.kind == Access::Kind::store)) return 1;
    if (stride == 1) narrowest = std::min(narrowest, access.unit);
  }
  int64_t pack = std::min<int64_t>(16 / narrowest, 8);
  // Unrolled programs of many instructions would run out of registers.
  const int64_t instructions = std::max<int64_t>(static_cast<int64_t>(program.instructions.size()), 1);
  while (pack > 1 && pack * instructions > 512) pack /= 2;
  const auto fits = [&](int64_t size) {
    if (axes.front().extent % size != 0) return false;
    for (size_t a = 0; a < schedule.accesses.size(); a++) {
      if (axes.front().strides[a] != 1 || schedule.accesses[a].kind == Access::Kind::iota) continue;
      for (const std::vector<Axis>* others : {&schedule.kept, &schedule.reduced})
        for (const Axis& axis : *others)
          if (&axis != &axes.front() && axis.strides[a] % size != 0) return false;
    }
    return true;
  };
  while (pack > 1 && !fits(pack)) pack /= 2;
  return static_cast<int>(pack);
}

void planRows(Schedule& schedule) {
  const int64_t packs = schedule.packs();
  // A warp's lanes are enough where rows are short, or many and not too long.
  if (packs <= 128 || (packs <= 512 && schedule.keptCount >= 8192)) {
    schedule.lanes = static_cast<unsigned>(std::min<int64_t>(powerAbove(packs), 32));
    const int64_t all = powerAbove(std::min(schedule.keptCount, kThreads) * schedule.lanes);
    schedule.threads = static_cast<unsigned>(std::clamp<int64_t>(all, 32, kThreads));
    return;
  }
  schedule.threads = schedule.lanes = kThreads;
  if (schedule.keptCount < kBusy / 2)
    schedule.parts = std::clamp<int64_t>(packs / (kThreads * 4), 1, ceilDivide(kBusy, schedule.keptCount));
}

void planColumns(Schedule& schedule) {
  const int64_t packs = schedule.packs();
  const int64_t size = schedule.reducedCount;
  // At least four steps for each thread that shares a reduction, at least a warp's width of neighbours where there are.
  const int64_t beside = std::min<int64_t>(powerAbove(packs), 32);
  const int64_t height = std::min(kThreads / beside, powerBelow(std::max<int64_t>(size / 4, 1)));
  const int64_t width = std::min(kThreads / height, powerAbove(packs));
  schedule.width = static_cast<unsigned>(width);
  schedule.threads = static_cast<unsigned>(std::max<int64_t>(width * height, 32));
  const int64_t tiles = ceilDivide(packs, width);
  if (tiles < kBusy / 2)
    schedule.parts = std::clamp<int64_t>(size / (schedule.threads / schedule.width * 8), 1, ceilDivide(kBusy, tiles));
}

/// A load that is contiguous along one axis while the stores are along another reads 32 times what it needs, unless it
/// goes through a tile. Moves these two axes to the front.
void planTurned(const Program& program, Schedule& schedule, std::vector<Axis>& axes) {
  schedule.turned.assign(program.instructions.size(), false);
  const auto store = std::find_if(schedule.accesses.begin(), schedule.accesses.end(),
                                  [](const Access& access) { return access.kind == Access::Kind::store; });
  if (store == schedule.accesses.end()) return;
  const size_t storeAccess = static_cast<size_t>(store - schedule.accesses.begin());
  const auto along =
      std::find_if(axes.begin(), axes.end(), [&](const Axis& axis) { return axis.strides[storeAccess] == 1; });
  if (along == axes.end()) return;
  const auto turns = [&](size_t a, const Axis& across) {
    const int64_t stride = along->strides[a];
    return schedule.accesses[a].kind == Access::Kind::load && across.strides[a] == 1 && stride != 0 && stride != 1;
  };
  int64_t most = 0;
  auto across = axes.end();
  for (auto axis = axes.begin(); axis != axes.end(); ++axis) {
    int64_t bytes = 0;
    for (size_t a = 0; a < schedule.accesses.size(); a++)
      if (axis != along && turns(a, *axis)) bytes += schedule.accesses[a].unit;
    if (bytes > most) {
      most = bytes;
      across = axis;
    }
  }
  if (across == axes.end()) return;

  schedule.kind = Schedule::Kind::turned;
  // Tiles of 128 bytes by 128 bytes for what is 4 bytes wide; the longer where the other axis is short.
  int64_t widest = 1;
  for (size_t a = 0; a < schedule.accesses.size(); a++)
    if (turns(a, *across)) widest = std::max(widest, schedule.accesses[a].unit);
  const int64_t edge = widest >= 4 ? 32 : 64;
  int64_t* const tile = schedule.tile;
  tile[0] = std::min(along->extent, edge);
  tile[1] = std::min(across->extent, edge);
  if (tile[1] < edge) tile[0] = std::min(along->extent, edge * edge / tile[1] / 32 * 32);
  if (tile[0] < edge) tile[1] = std::min(across->extent, edge * edge / tile[0] / 32 * 32);
  schedule.threads = static_cast<unsigned>(std::clamp<int64_t>(powerAbove(tile[0] * tile[1]), 32, kThreads));
  int64_t shared = 0;
  for (size_t a = 0; a < schedule.accesses.size(); a++) {
    if (!turns(a, *across)) continue;
    shared += tile[0] * schedule.tileStride(schedule.accesses[a].unit) * schedule.accesses[a].unit;
    if (shared <= kMostShared) schedule.turned[at(schedule.accesses[a].position)] = true;
  }
  const Axis second = *across;
  std::swap(axes.front(), *along);
  std::swap(axes[1], *std::find_if(axes.begin() + 1, axes.end(),
                                   [&](const Axis& axis) { return axis.strides == second.strides; }));
}

}  // namespace

int64_t Schedule::tileStride(int64_t unit) const {
  // An odd number of 4-byte words, or of elements where these are wider.
  int64_t stride = tile[1];
  const int64_t perWord = std::max<int64_t>(4 / unit, 1);
  while (stride % (2 * perWord) != perWord) stride++;
  return stride;
}

int64_t Schedule::packs() const { return (kind == Kind::rows ? reducedCount : keptCount) / pack; }

int64_t Schedule::tiles() const {
  switch (kind) {
    case Kind::elements: return ceilDivide(packs(), threads);
    case Kind::turned:
      return ceilDivide(kept[0].extent, tile[0]) * ceilDivide(kept[1].extent, tile[1]) *
             (keptCount / kept[0].extent / kept[1].extent);
    case Kind::rows: return ceilDivide(keptCount, threads / lanes) * parts;
    default: return ceilDivide(packs(), width) * parts;
  }
}

Schedule planSchedule(const Program& program, Specs inputs, Specs outputs) {
  Schedule schedule;
  schedule.accesses = accessesOf(program);
  schedule.accessOf.assign(program.instructions.size(), -1);
  for (size_t a = 0; a < schedule.accesses.size(); a++)
    if (schedule.accesses[a].kind != Access::Kind::store)
      schedule.accessOf[at(schedule.accesses[a].position)] = static_cast<int>(a);

  const bool reduces = program.reduce >= 0;
  const std::vector<bool> late = storesAfterReduce(program);
  for (size_t s = 0; s < late.size(); s++)
    (late[s] ? schedule.after : schedule.before).stores.push_back(static_cast<int>(s));
  close(program, schedule.after, -1);
  close(program, schedule.before, reduces ? program.instructions[at(program.reduce)].args[0] : -1);

  std::vector<Axis> axes = mergedAxes(program, schedule.accesses);
  if (!axes.empty()) {
    // The innermost axis first, then by the distance of neighbours, so that neighbouring threads share pages.
    std::swap(axes.front(), axes[innermostAxis(axes, schedule.accesses)]);
    const auto distance = [](const Axis& axis) {
      __int128 sum = 0;
      for (const int64_t stride : axis.strides) sum += std::abs(stride);
      return sum;
    };
    if (!reduces) planTurned(program, schedule, axes);
    std::stable_sort(axes.begin() + (schedule.kind == Schedule::Kind::turned ? 2 : 1), axes.end(),
                     [&](const Axis& a, const Axis& b) { return distance(a) < distance(b); });
    if (reduces) schedule.kind = axes.front().reduced ? Schedule::Kind::rows : Schedule::Kind::columns;
  } else if (reduces) {
    schedule.kind = Schedule::Kind::rows;
  }
  for (Axis& axis : axes) (axis.reduced ? schedule.reduced : schedule.kept).push_back(std::move(axis));
  schedule.keptCount = countOf(schedule.kept);
  schedule.reducedCount = countOf(schedule.reduced);
  for (size_t i = 0; i < program.extents.size(); i++)
    if (program.extents[i] == 0) (reduces && program.reduced[i] ? schedule.reducedCount : schedule.keptCount) = 0;
  if (schedule.keptCount == 0) return schedule;
  schedule.wide = isWide(schedule);
  if (schedule.reducedCount == 0) {
    schedule.kind = Schedule::Kind::rows;
    return schedule;
  }
  if (schedule.kind == Schedule::Kind::turned) return schedule;
  schedule.pack = packOf(program, schedule, schedule.kind == Schedule::Kind::rows ? schedule.reduced : schedule.kept);
  for (const Access& access : schedule.accesses) {
    if (access.kind == Access::Kind::iota) {
      schedule.aligned.push_back(true);
      continue;
    }
    const Specs operands = access.kind == Access::Kind::load ? inputs : outputs;
    schedule.aligned.push_back(operands[static_cast<size_t>(access.operand)].alignment >= schedule.pack * access.unit);
  }
  if (schedule.kind == Schedule::Kind::rows) {
    planRows(schedule);
  } else if (schedule.kind == Schedule::Kind::columns) {
    planColumns(schedule);
  } else {
    schedule.threads = static_cast<unsigned>(std::clamp<int64_t>(powerAbove(schedule.packs()), 32, kThreads));
  }
  return schedule;
}

}  // namespace heddle::cuda
