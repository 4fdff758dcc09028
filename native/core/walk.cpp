// Axes are merged by the strides of every walk at once.
#include "walk.h"

#include <cstdlib>

namespace heddle {
namespace {

size_t at(int position) { return static_cast<size_t>(position); }

const std::vector<int64_t>& stridesOf(const Program& program, const Access& access) {
  return access.kind == Access::Kind::store ? program.stores[at(access.position)].strides
                                            : program.instructions[at(access.position)].strides;
}

/// How well the inner loop runs along an axis: contiguous walks are best, repeated elements cost nothing.
double innerScore(const Axis& axis, const std::vector<Access>& accesses, const std::vector<double>& shares) {
  double score = 0;
  for (size_t a = 0; a < accesses.size(); a++) {
    const int64_t stride = std::abs(axis.strides[a]);
    const double weight = accesses[a].kind == Access::Kind::store  ? 1.01
                          : accesses[a].kind == Access::Kind::load ? 1
                                                                   : 0.1;
    score += weight * shares[a] * (stride == 1 ? 4 : stride == 0 ? 1 : stride < 16 ? 0.5 : 0);
  }
  return score;
}

}  // namespace

std::vector<Access> accessesOf(const Program& program) {
  std::vector<Access> accesses;
  for (size_t i = 0; i < program.instructions.size(); i++) {
    const Instruction& instruction = program.instructions[i];
    if (instruction.op == Opcode::load)
      accesses.push_back({Access::Kind::load, static_cast<int>(i), instruction.input,
                          kDTypeBytes[static_cast<int>(instruction.dtype)]});
    if (instruction.op == Opcode::iota) accesses.push_back({Access::Kind::iota, static_cast<int>(i), 0, 1});
  }
  for (size_t i = 0; i < program.stores.size(); i++)
    accesses.push_back({Access::Kind::store, static_cast<int>(i), static_cast<int64_t>(i),
                        kDTypeBytes[static_cast<int>(program.stores[i].dtype)]});
  return accesses;
}

std::vector<Axis> mergedAxes(const Program& program, const std::vector<Access>& accesses) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < program.extents.size(); i++) {
    if (program.extents[i] <= 1) continue;
    Axis axis{program.extents[i], program.reduce >= 0 && program.reduced[i], {}};
    for (const Access& access : accesses) axis.strides.push_back(stridesOf(program, access)[i]);
    axes.push_back(std::move(axis));
  }
  bool merged = true;
  while (merged) {
    merged = false;
    for (size_t outer = 0; outer < axes.size() && !merged; outer++) {
      for (size_t inner = 0; inner < axes.size() && !merged; inner++) {
        if (outer == inner || axes[outer].reduced != axes[inner].reduced) continue;
        bool together = true;
        for (size_t a = 0; a < accesses.size() && together; a++)
          together = axes[outer].strides[a] == axes[inner].strides[a] * axes[inner].extent;
        if (!together) continue;
        axes[inner].extent *= axes[outer].extent;
        axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(outer));
        merged = true;
      }
    }
  }
  return axes;
}

std::vector<double> sharesOf(const std::vector<Axis>& axes, size_t accesses) {
  std::vector<double> shares(accesses, 1);
  for (const Axis& axis : axes)
    for (size_t a = 0; a < accesses; a++)
      if (axis.strides[a] == 0) shares[a] /= static_cast<double>(axis.extent);
  return shares;
}

size_t innermostAxis(const std::vector<Axis>& axes, const std::vector<Access>& accesses) {
  const std::vector<double> shares = sharesOf(axes, accesses.size());
  size_t innermost = 0;
  for (size_t i = 1; i < axes.size(); i++) {
    const double score = innerScore(axes[i], accesses, shares);
    const double best = innerScore(axes[innermost], accesses, shares);
    if (score > best || (score == best && axes[i].extent > axes[innermost].extent)) innermost = i;
  }
  return innermost;
}

bool movesOnReduced(const Program& program, const std::vector<int64_t>& strides) {
  for (size_t axis = 0; axis < strides.size(); axis++)
    if (program.reduced[axis] && program.extents[axis] > 1 && strides[axis] != 0) return true;
  return false;
}

std::vector<bool> storesAfterReduce(const Program& program) {
  std::vector<bool> kept;  // per instruction: the same along every reduced axis
  for (const Instruction& instruction : program.instructions) {
    bool same = !movesOnReduced(program, instruction.strides);
    for (int arg = 0; arg < instruction.argCount; arg++) same = same && kept[at(instruction.args[arg])];
    kept.push_back(same);
  }
  std::vector<bool> after;
  for (const Store& store : program.stores)
    after.push_back(program.reduce < 0 || program.afterReduce[at(store.value)] ||
                    (kept[at(store.value)] && !movesOnReduced(program, store.strides)));
  return after;
}

}  // namespace heddle
