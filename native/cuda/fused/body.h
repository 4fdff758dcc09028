// The text of a fused program at one coordinate, or at a pack of neighbours: loads, instructions, stores.
#pragma once

#include <string>
#include <vector>

#include "schedule.h"
#include "text.h"

namespace heddle::cuda {

enum class Side { kept, reduced };

bool usesRandom(const Program& program);

/// Names in the text: `v7` the value of instruction 7, `element7` and `pack7` what a load reads, `in7` and `out2` the
/// operands' addresses, `k0` and `r1` the coordinates on the kept and reduced axes, `k` the position in a pack.
class Body {
 public:
  Body(const Program& program, const Schedule& schedule, Text& text);

  /// At the start of a kernel of these phases (null ones are left out): addresses, and what is the same everywhere.
  void start(std::vector<const Phase*> phases);
  /// The coordinates that the number `linear` stands for, which counts packs of the first axis; those of the axes from
  /// `from` on.
  void coordinates(Side side, const std::string& linear, int pack, size_t from = 0);
  /// Writes the turned loads' elements at k0, k1 into their tiles at x, y.
  void fill();
  /// What `phase` needs and no reduced axis changes; for `evaluate` of that phase in a loop that follows.
  void hoist(const Phase& phase);
  /// Everything else of the phase. `total`: the reduction's result, for the phase after it; the one before it adds its
  /// argument to `sum[k]`.
  void evaluate(const Phase& phase, int pack, const std::string& total);

 private:
  bool has(size_t value) const { return uniform_[value] || hoisted_[value]; }
  bool packed(const Phase& phase, int access, int pack) const;
  std::string offset(int access) const;
  std::string raw(size_t load, int pack) const;
  void load(const Phase& phase, size_t position, int pack);
  void statement(size_t position, const std::string& total, int pack);
  void value(size_t position, const std::string& expression);
  void stores(const Phase& phase, int pack);

  const Program& program_;
  const Schedule& schedule_;
  Text& text_;
  std::vector<int> storeAccess_;
  // Per instruction: does it change along the axis of the packs, along a reduced axis, along any?
  std::vector<bool> onPack_, onReduced_, varies_;
  std::vector<bool> uniform_, hoisted_;  // printed
};

}  // namespace heddle::cuda
