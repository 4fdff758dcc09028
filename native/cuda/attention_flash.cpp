// Attention by kernels of our own: chooses among them by dtype, width and device, and hands them the problem.
#include "attention.h"
#include "attention_choice.h"
#include "context.h"

namespace heddle::cuda {
namespace {

template <typename T>
HeadRows<T> rowsAt(const HeadStrides& strides, T* data, int64_t width) {
  constexpr int64_t pack = 16 / sizeof(T);
  const auto whole = [](int64_t elements) { return elements % pack == 0; };
  const bool packed = reinterpret_cast<uintptr_t>(data) % 16 == 0 && whole(strides.batch) && whole(strides.head) &&
                      whole(strides.row) && whole(width);
  return {data, strides.batch, strides.head, strides.row, packed};
}

/// What both ops are called with.
template <typename T>
AttentionCall<T> callOf(const AttentionProblem& p, const RunOperands& operands) {
  const auto input = [&](size_t i) { return static_cast<const T*>(operands.inputs[i]); };
  AttentionCall<T> call{};
  call.batch = static_cast<int>(p.batch);
  call.heads = static_cast<int>(p.heads);
  call.keyHeads = static_cast<int>(p.keyHeads);
  call.queries = static_cast<int>(p.queries);
  call.keys = static_cast<int>(p.keys);
  call.width = static_cast<int>(p.width);
  call.valueWidth = static_cast<int>(p.valueWidth);
  call.causal = p.causal;
  call.scale = static_cast<Compute<T>>(p.scale);
  call.keptScale = static_cast<Compute<T>>(p.keptScale);
  if (p.hasMask) {
    call.mask.data = operands.inputs[3];
    call.mask.type = p.maskType;
    std::copy_n(p.maskStrides, 4, call.mask.strides);
  }
  if (p.dropout > 0)
    call.dropout = {static_cast<const int64_t*>(operands.inputs[p.firstOperands() - 1]), p.stateStride, p.offset,
                    static_cast<unsigned>(p.dropLimit)};
  call.q = rowsAt(p.q, input(0), p.width);
  call.k = rowsAt(p.k, input(1), p.width);
  call.v = rowsAt(p.v, input(2), p.valueWidth);
  return call;
}

template <typename T>
QueryValues<Compute<T>> statisticAt(const AttentionProblem& p, Compute<T>* data) {
  return {data, p.statisticStrides[0], p.statisticStrides[1], p.statisticStrides[2]};
}

template <typename T>
constexpr bool kHalf = std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;

/// Whether the device has tensor cores for T: f16's came first.
template <typename T>
bool hasTensorCores() {
  const Context& context = Context::current();
  return context.major >= 8 || (std::is_same_v<T, Float16> && context.major == 7 && context.minor == 5);
}

/// The code for devices whose tensor cores take both 16-bit floats has no scalar kernels of these.
template <typename T>
void expectScalarKernels(const char* op) {
  const Context& context = Context::current();
  if (kHalf<T> && context.major >= 8)
    throw Error(ErrorCode::unsupported, std::string(op) + ": " + context.name + " gives a block " +
                                            std::to_string(context.sharedBytesPerBlock) +
                                            " bytes of shared memory, expected " + std::to_string(kTensorSharedBytes) +
                                            " or more; cast the operands to f32");
}

template <typename T>
class Attention : public Kernel {
 public:
  explicit Attention(const AttentionProblem& problem) : p_(problem) {
    const int64_t width = std::max(p_.width, p_.valueWidth);
    if constexpr (kHalf<T>)
      if (hasTensorCores<T>()) launch_ = tensorAttention<T>(width);
    if (launch_) return;
    expectScalarKernels<T>("attention");
    launch_ = scalarAttention<T>(width);
  }

  void run(const RunOperands& operands) override {
    AttentionCall<T> call = callOf<T>(p_, operands);
    call.out = rowsAt(p_.out, static_cast<T*>(operands.outputs[0]), p_.valueWidth);
    call.logSumExp = statisticAt<T>(p_, static_cast<Compute<T>*>(operands.outputs[1]));
    launch_(call);
  }

 private:
  const AttentionProblem p_;
  AttentionLaunch<T> launch_ = nullptr;
};

template <typename T>
class AttentionGrad : public Kernel {
 public:
  explicit AttentionGrad(const AttentionProblem& problem) : p_(problem) {
    const int64_t width = std::max(p_.width, p_.valueWidth);
    if constexpr (kHalf<T>)
      if (hasTensorCores<T>()) launch_ = tensorAttentionGrad<T>(width);
    if (launch_) return;
    expectScalarKernels<T>("attentionGrad");
    launch_ = scalarAttentionGrad<T>(width);
  }

  size_t workspaceBytes() const override {
    return sizeof(Compute<T>) * static_cast<size_t>(p_.batch * p_.heads * p_.queries);
  }

  void run(const RunOperands& operands) override {
    AttentionCall<T> call = callOf<T>(p_, operands);
    const size_t next = p_.firstOperands();
    call.savedOut = rowsAt(p_.out, static_cast<const T*>(operands.inputs[next]), p_.valueWidth);
    // The gradient's kernels only read them.
    call.logSumExp = statisticAt<T>(p_, static_cast<Compute<T>*>(const_cast<void*>(operands.inputs[next + 1])));
    call.outGrad = rowsAt(p_.outGrad, static_cast<const T*>(operands.inputs[next + 2]), p_.valueWidth);
    call.products = static_cast<Compute<T>*>(operands.workspace);
    call.qGrad = rowsAt(p_.qGrad, static_cast<T*>(operands.outputs[0]), p_.width);
    call.kGrad = rowsAt(p_.kGrad, static_cast<T*>(operands.outputs[1]), p_.width);
    call.vGrad = rowsAt(p_.vGrad, static_cast<T*>(operands.outputs[2]), p_.valueWidth);
    launch_(call);
  }

 private:
  const AttentionProblem p_;
  AttentionLaunch<T> launch_ = nullptr;
};

template <template <typename> typename KernelOf>
std::unique_ptr<Kernel> makeKernel(const char* op, const AttentionProblem& problem) {
  return dispatchFloat(op, problem.dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    return std::make_unique<KernelOf<typename decltype(tag)::type>>(problem);
  });
}

}  // namespace

std::unique_ptr<Kernel> makeFlashAttention(const AttentionProblem& problem, AttentionDirection direction) {
  return direction == AttentionDirection::forward ? makeKernel<Attention>("attention", problem)
                                                  : makeKernel<AttentionGrad>("attentionGrad", problem);
}

}  // namespace heddle::cuda
