// The fused op's kernel: its program printed, compiled and launched.
#include <algorithm>

#include "../context.h"
#include "../kernels.h"
#include "../launch.h"
#include "../module_cache.h"
#include "print.h"

namespace heddle::cuda {
namespace {

/// What a kernel's parameters may take together.
constexpr size_t kMostParameterBytes = 4096;

class FusedKernel : public Kernel {
 public:
  FusedKernel(const Source& source, Specs inputs, Specs outputs, bool guarded)
      : inputs_(inputs.size()),
        outputs_(outputs.size()),
        firstOutput_(source.inputs),
        workspaceBytes_(source.workspaceBytes),
        guarded_(guarded),
        module_(moduleOf(source.text)) {
    operands_.resize(source.operands());
    alignments_.resize(operands_.size(), 1);
    for (size_t i = 0; i < inputs_; i++) alignments_[i] = static_cast<uintptr_t>(inputs[i].alignment);
    for (size_t i = 0; i < outputs_; i++) alignments_[firstOutput_ + i] = static_cast<uintptr_t>(outputs[i].alignment);
    for (const Stage& stage : source.stages)
      launches_.push_back({stage.entry, nullptr, gridFor(stage.tiles, 1), stage.threads});
  }

  void complete() override {
    for (Launch& launch : launches_) launch.kernel = module_.kernel(launch.entry);
  }

  size_t workspaceBytes() const override { return workspaceBytes_; }
  bool guarded() const override { return guarded_; }

  void run(const RunOperands& operands) override {
    std::copy_n(operands.inputs.begin(), inputs_, operands_.begin());
    std::copy_n(operands.outputs.begin(), outputs_, operands_.begin() + static_cast<std::ptrdiff_t>(firstOutput_));
    operands_[operands_.size() - 2] = operands.workspace;
    operands_.back() = &Context::current().report->finding;
    for (size_t i = 0; i < operands_.size(); i++)
      if (reinterpret_cast<uintptr_t>(operands_[i]) % alignments_[i] != 0)
        throw Error(ErrorCode::internal, "fused: an operand is less aligned than its plan says");
    for (const Launch& launch : launches_)
      launchCompiled("fused", launch.kernel, launch.grid, launch.threads, operands_.data());
  }

 private:
  struct Launch {
    std::string entry;
    cudaKernel_t kernel;
    unsigned grid;
    unsigned threads;
  };

  const size_t inputs_, outputs_, firstOutput_, workspaceBytes_;
  const bool guarded_;
  Module& module_;
  std::vector<Launch> launches_;
  std::vector<const void*> operands_;  // the kernels' parameter, as struct Operands lies in memory
  std::vector<uintptr_t> alignments_;
};

/// Where no coordinate is kept there is nothing to do.
class EmptyKernel : public Kernel {
 public:
  void run(const RunOperands&) override {}
};

std::unique_ptr<Kernel> make(WordReader& params, Specs inputs, Specs outputs) {
  const FusedParams fused = FusedParams::read(params);
  const Program program = decodeProgram(fused.program);
  checkOperands(program, inputs, outputs);
  const Schedule schedule = planSchedule(program, inputs, outputs);
  if (schedule.keptCount == 0 || program.stores.empty()) return std::make_unique<EmptyKernel>();
  const bool guarded =
      std::any_of(outputs.begin(), outputs.end(), [](const TensorSpec& output) { return output.kept; });
  const Source source = printSource(program, schedule, inputs.size(), outputs.size(), guarded);
  if (source.operands() * sizeof(void*) > kMostParameterBytes)
    throw Error(ErrorCode::unsupported, "fused: a program with " + std::to_string(inputs.size()) + " inputs and " +
                                            std::to_string(outputs.size()) +
                                            " outputs has more operands than a CUDA kernel takes; split it");
  return std::make_unique<FusedKernel>(source, inputs, outputs, guarded);
}

}  // namespace

void registerFused(KernelTable& table) { table.add(OpId::fused, make); }

}  // namespace heddle::cuda
