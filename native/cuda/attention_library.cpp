// Attention by cuDNN. Its engines want operands at whole packs of 16 bytes: what begins elsewhere goes to our kernels.
#include "attention_choice.h"
#include "context.h"

namespace heddle::cuda {
namespace {

// Graphs of older ones were not checked, and some need what these here leave out.
constexpr size_t kOldestVersion = 91900;
// So many engines are compared: making a plan of one compiles its kernel, which takes most of a second.
constexpr int kMostPlans = 3;
// Deterministic gradients of most engines hold a 16-bit number for every score. Of the device's memory they may have
// this part.
constexpr size_t kWorkspacePart = 32;
constexpr size_t kWorkspaceAlignment = 256;
constexpr uintptr_t kOperandAlignment = 16;

size_t alignUp(size_t bytes) { return (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment; }

class AttentionLibrary : public Kernel {
 public:
  AttentionLibrary(const AttentionProblem& problem, AttentionDirection direction, const dnn::Engine& engine)
      : p_(problem), direction_(direction), plan_(problem, direction, engine) {}

  size_t planBytes() const { return plan_.workspaceBytes(); }
  size_t workspaceBytes() const override { return kWorkspaceAlignment + productBytes() + planBytes(); }

  void run(const RunOperands& operands) override {
    const bool grad = direction_ == AttentionDirection::grad;
    const auto input = [&](size_t i) { return const_cast<void*>(operands.inputs[i]); };
    AttentionPointers at{};
    at.q = input(0);
    at.k = input(1);
    at.v = input(2);
    at.out = grad ? input(3) : operands.outputs[0];
    at.logSumExp = grad ? input(4) : operands.outputs[1];
    if (grad) {
      at.outGrad = input(5);
      at.qGrad = operands.outputs[0];
      at.kGrad = operands.outputs[1];
      at.vGrad = operands.outputs[2];
    }
    for (const void* pointer : {at.q, at.k, at.v, at.out, at.logSumExp, at.outGrad, at.qGrad, at.kGrad, at.vGrad})
      if (reinterpret_cast<uintptr_t>(pointer) % kOperandAlignment != 0) {
        // Operands that begin anywhere, as slices may, are known only now; no engine was asked for them.
        if (!misaligned_) misaligned_ = makeFlashAttention(p_, direction_);
        return misaligned_->run(operands);
      }
    char* own = reinterpret_cast<char*>(alignUp(reinterpret_cast<size_t>(operands.workspace)));
    at.products = own;
    at.workspace = own + productBytes();
    plan_.run(at);
  }

 private:
  /// The rows' sums, of the gradient: as large as what our kernels take for the same.
  size_t productBytes() const {
    if (direction_ == AttentionDirection::forward) return 0;
    return alignUp(sizeof(float) * static_cast<size_t>(p_.batch * p_.heads * p_.queries));
  }

  const AttentionProblem p_;
  const AttentionDirection direction_;
  AttentionPlan plan_;
  std::unique_ptr<Kernel> misaligned_;
};

std::unique_ptr<Kernel> makePlan(const AttentionProblem& problem, AttentionDirection direction,
                                 const dnn::Engine& engine, int& made) {
  if (made >= kMostPlans) return nullptr;
  std::unique_ptr<AttentionLibrary> kernel;
  try {
    kernel = std::make_unique<AttentionLibrary>(problem, direction, engine);
  } catch (const Error& refused) {
    if (refused.code == ErrorCode::deviceLost || refused.code == ErrorCode::outOfMemory) throw;
    return nullptr;
  }
  if (kernel->planBytes() > Context::current().memoryBytes / kWorkspacePart) return nullptr;
  made++;
  return kernel;
}

/// Our kernels need no library.
bool usable() {
  try {
    return dnn::functions().getVersion() >= kOldestVersion;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<TrialCandidate> attentionPlans(const AttentionProblem& problem, AttentionDirection direction) {
  if (!usable()) return {};
  const auto made = std::make_shared<int>(0);
  std::vector<TrialCandidate> candidates;
  for (const dnn::Engine& engine : enginesOf(problem, direction))
    candidates.push_back({engine.name, [=] { return makePlan(problem, direction, engine, *made); }});
  return candidates;
}

}  // namespace heddle::cuda
