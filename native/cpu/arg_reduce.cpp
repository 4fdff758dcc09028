// Op argReduce: the position of the largest or smallest element along an axis; the first of equals, and NaN before all.
#include <omp.h>

#include <algorithm>
#include <utility>

#include "../core/arg_reduce_problem.h"
#include "../core/element.h"
#include "kernels.h"
#include "levels.h"
#include "narrow_columns.h"
#include "rounding.h"

#define HEDDLE_LOOPS "arg_reduce_loops.h"
#include "for_each_level.h"

namespace heddle {
namespace {

// Columns of a task: enough that a row of them is worth starting on, few enough that their best values and positions
// stay in the first cache.
constexpr int64_t kFewestColumns = 256;
constexpr int64_t kMostColumns = 1024;
// Fewer elements of a column are not worth a part of their own.
constexpr int64_t kFewestOfPart = 8192;
constexpr int64_t kFewestParallel = 16384;

template <typename T, bool kMax>
class ArgReduce : public Kernel {
  using C = Compute<T>;
  using Row = void (*)(const T*, int64_t, int64_t, C*, int32_t*);
  using Columns = void (*)(const T*, int64_t, int64_t, int64_t, int64_t, C*, int32_t*);

 public:
  ArgReduce(const ArgReduceProblem& problem, Row row, Columns columns) : p_(problem), row_(row), columns_(columns) {}

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* out = static_cast<int32_t*>(operands.outputs[0]);
    const int64_t threads = omp_get_max_threads();
    const int64_t width =
        std::clamp(roundUp(ceilDivide(p_.outer * p_.inner, threads), 16), kFewestColumns, kMostColumns);
    const int64_t blocks = ceilDivide(p_.inner, width), tasks = p_.outer * blocks;
    const int64_t parts = tasks == 0 || tasks >= threads ? 1 : std::clamp<int64_t>(p_.size / kFewestOfPart, 1, threads);
    if (parts > 1) return inParts(x, out, width, parts);
#pragma omp parallel for collapse(2) schedule(static) if (p_.outer * p_.size * p_.inner > kFewestParallel)
    for (int64_t outer = 0; outer < p_.outer; outer++)
      for (int64_t block = 0; block < blocks; block++) {
        C best[kMostColumns];
        find(x, outer, block * width, width, 0, p_.size, best, out + outer * p_.inner + block * width);
      }
  }

 private:
  /// Of a row, or of up to `width` columns from `column` on, the elements `from` to `to`.
  void find(const T* x, int64_t outer, int64_t column, int64_t width, int64_t from, int64_t to, C* best,
            int32_t* position) const {
    const T* first = x + outer * p_.size * p_.inner + column;
    if (p_.inner == 1)
      row_(first, from, to, best, position);
    else
      columns_(first, from, to, p_.inner, std::min(width, p_.inner - column), best, position);
  }

  /// Few but long ones: the parts of each are searched side by side, and compared in their order.
  void inParts(const T* x, int32_t* out, int64_t width, int64_t parts) const {
    const int64_t results = p_.outer * p_.inner, blocks = ceilDivide(p_.inner, width);
    std::vector<C> best(static_cast<size_t>(results * parts));
    std::vector<int32_t> positions(best.size());
#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t part = 0; part < parts; part++)
      for (int64_t outer = 0; outer < p_.outer; outer++)
        for (int64_t block = 0; block < blocks; block++) {
          const int64_t place = part * results + outer * p_.inner + block * width;
          find(x, outer, block * width, width, p_.size * part / parts, p_.size * (part + 1) / parts,
               best.data() + place, positions.data() + place);
        }
    for (int64_t i = 0; i < results; i++) {
      auto found = static_cast<size_t>(i);
      for (int64_t part = 1; part < parts; part++) {
        const auto next = static_cast<size_t>(part * results + i);
        if (base::precedes<kMax>(best[next], best[found])) found = next;
      }
      out[i] = positions[found];
    }
  }

  ArgReduceProblem p_;
  Row row_;
  Columns columns_;
};

template <typename T, bool kMax>
std::unique_ptr<Kernel> argReduceOf(const ArgReduceProblem& problem) {
  return std::make_unique<ArgReduce<T, kMax>>(problem, HEDDLE_DISPATCH(extremeOfRow<kMax, T>),
                                              HEDDLE_DISPATCH(extremesOfColumns<kMax, T>));
}

std::unique_ptr<Kernel> makeArgReduce(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "argReduce";
  const ArgReduceParams params = ArgReduceParams::read(words);
  const ArgReduceProblem problem = readArgReduce(params, in, out);
  return dispatchAny(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    return params.kind == ArgReduceParams::Kind::max ? argReduceOf<T, true>(problem) : argReduceOf<T, false>(problem);
  });
}

}  // namespace

void registerArgReduce(KernelTable& table) { table.add(OpId::argReduce, makeArgReduce); }

}  // namespace heddle
