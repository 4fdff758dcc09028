// Capture is of this thread only: others may reserve memory meanwhile.
#include "graph.h"

namespace heddle::cuda {

namespace {

class Graph : public Recording {
 public:
  Graph(Context& context, cudaGraph_t graph) : context_(context) {
    const cudaError_t made = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check(made, "making a CUDA graph");
  }
  // The driver keeps what is still running.
  ~Graph() override { cudaGraphExecDestroy(executable_); }
  void replay() override { check(cudaGraphLaunch(executable_, context_.stream), "launching a CUDA graph"); }

 private:
  Context& context_;
  cudaGraphExec_t executable_;
};

}  // namespace

void beginCapture(Context& context) {
  check(cudaStreamBeginCapture(context.stream, cudaStreamCaptureModeThreadLocal), "recording a run");
}

std::unique_ptr<Recording> endCapture(Context& context) {
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(context.stream, &graph);
  if (ended != cudaSuccess || !graph) {
    cudaGetLastError();  // an invalid capture is no defect of the device
    throw Error(ErrorCode::unsupported, std::string("a run cannot be recorded: ") + cudaGetErrorString(ended));
  }
  return std::make_unique<Graph>(context, graph);
}

}  // namespace heddle::cuda
