// The report travels to page-locked memory in the stream; waiting blocks in the driver instead of spinning.
#include "fence.h"

#include <cstring>

namespace heddle::cuda {

namespace {

std::string sentence(const Report& report) {
  const std::string op = kOpNames[report.op];
  const std::string value = std::to_string(report.value) + " at position " + std::to_string(report.position);
  const std::string limit = std::to_string(report.limit);
  switch (static_cast<Finding>(report.finding)) {
    case Finding::target:
      return op + ": target " + value + " is out of range; with " + limit + " classes it must be in [0, " + limit +
             ") or the ignored index " + std::to_string(report.ignored);
    case Finding::planeIndex:
      return op + ": index " + value + " is out of range; it must be in [0, " + limit +
             "), a position in the input's plane";
    default: return op + ": index " + value + " is out of range; it must be in [0, " + limit + ")";
  }
}

class EventFence : public Fence {
 public:
  EventFence(Context& context, Staging& staging, bool reported) : staging_(staging) {
    if (reported) {
      block_ = staging.take(sizeof(Report));
      check(cudaMemcpyAsync(block_.memory, context.report, sizeof(Report), cudaMemcpyDeviceToHost, context.stream),
            "reading a report");
    }
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming | cudaEventBlockingSync), "making an event");
    check(cudaEventRecord(event_, context.stream), "recording an event");
  }
  ~EventFence() override {
    cudaEventDestroy(event_);
    if (block_.memory) staging_.giveBack(block_);
  }

  void wait() override {
    const cudaError_t result = cudaEventSynchronize(event_);
    if (result != cudaSuccess)
      throw StepError{
          Error(ErrorCode::deviceLost, std::string("the CUDA device is lost: ") + cudaGetErrorString(result) +
                                           "; restart the process to use it again"),
          -1};
    if (!block_.memory) return;
    Report report;
    std::memcpy(&report, block_.memory, sizeof report);
    if (report.finding != 0) throw StepError{Error(ErrorCode::invalidArgument, sentence(report)), report.step};
  }

 private:
  Staging& staging_;
  Staging::Block block_{};
  cudaEvent_t event_;
};

}  // namespace

std::unique_ptr<Fence> makeFence(Context& context, Staging& staging, bool reported) {
  return std::make_unique<EventFence>(context, staging, reported);
}

}  // namespace heddle::cuda
