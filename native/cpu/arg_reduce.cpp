// Op argReduce: the position of the largest or smallest element along an axis; the first of equals, and NaN before all.
#include <algorithm>

#include "../core/arg_reduce_problem.h"
#include "kernels.h"

namespace heddle {
namespace {

template <typename T, bool kMax>
class ArgReduce : public Kernel {
  using C = Compute<T>;

 public:
  ArgReduce(int64_t outer, int64_t size, int64_t inner) : outer_(outer), size_(size), inner_(inner) {}

  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const T*>(operands.inputs[0]);
    auto* out = static_cast<int32_t*>(operands.outputs[0]);
#pragma omp parallel for schedule(static) if (outer_ * size_ * inner_ > 16384)
    for (int64_t task = 0; task < outer_ * inner_; task++)
      out[task] = find(x + task / inner_ * size_ * inner_ + task % inner_);
  }

 private:
  int32_t find(const T* x) const {
    C best = load(x[0]);
    int64_t position = 0;
    for (int64_t i = 1; i < size_ && best == best; i++) {
      const C value = load(x[i * inner_]);
      if (!(kMax ? value > best : value < best) && value == value) continue;
      best = value;
      position = i;
    }
    return static_cast<int32_t>(position);
  }

  int64_t outer_, size_, inner_;
};

std::unique_ptr<Kernel> makeArgReduce(WordReader& words, Specs in, Specs out) {
  constexpr const char* op = "argReduce";
  const ArgReduceParams params = ArgReduceParams::read(words);
  const ArgReduceProblem p = readArgReduce(params, in, out);
  return dispatchAny(op, in[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    if (params.kind == ArgReduceParams::Kind::max)
      return std::make_unique<ArgReduce<T, true>>(p.outer, p.size, p.inner);
    return std::make_unique<ArgReduce<T, false>>(p.outer, p.size, p.inner);
  });
}

}  // namespace

void registerArgReduce(KernelTable& table) { table.add(OpId::argReduce, makeArgReduce); }

}  // namespace heddle
