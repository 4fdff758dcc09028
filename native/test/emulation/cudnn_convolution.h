// Convolutions as the emulated cuDNN runs them, and its engines: what each takes, notes of itself and does to numbers.
#pragma once

#include "cudnn_problem.h"

namespace heddle::emulation {

/// result = alpha * convolution + beta * result, with a bias added where there is one.
struct Convolution {
  enum class Result { x, weight, y };
  Result result;
  TensorLayout x, weight, y, bias;
  std::vector<int64_t> stride, padding, paddingAfter, dilation;
  int computeType;
  double alpha, beta;
  bool biased = false;
};

bool shapesAgree(const Convolution& convolution);
/// What the heuristics name, the best first; some of it turns out not to be supported once a plan is made.
std::vector<Engine> suggestions(const Convolution& convolution, bool fallback);
/// Why an engine does not take a problem; null where it does.
const char* refusal(const Convolution& convolution, const Engine& engine);
/// Why it does not take these addresses.
const char* refusal(const Convolution& convolution, const Engine& engine, const Tensors& tensors,
                    const void* workspace);
int64_t workspaceBytes(const Convolution& convolution, const Engine& engine);
void run(const Convolution& convolution, const Engine& engine, const Tensors& tensors, void* workspace);

}  // namespace heddle::emulation
