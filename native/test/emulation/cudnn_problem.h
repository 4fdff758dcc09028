// What an operation graph asks for, as the emulated cuDNN's engines see it: engines are suggested for it, take it or do
// not, and run it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "cudnn_descriptor.h"

namespace heddle::emulation {

struct TensorLayout {
  int type;
  std::vector<int64_t> shape, strides;
  int64_t id;
  int64_t alignment;
};

inline TensorLayout layoutOf(const cuda::dnn::Impl& tensor) {
  namespace dnn = cuda::dnn;
  return {tensor.value<int>(dnn::kTensorType), tensor.values<int64_t>(dnn::kTensorExtents),
          tensor.values<int64_t>(dnn::kTensorStrides), tensor.value<int64_t>(dnn::kTensorId),
          tensor.value<int64_t>(dnn::kTensorAlignment)};
}

struct Engine {
  int index, knob;
  std::vector<int> numericalNotes, behaviourNotes;
};

/// Addresses by tensor id.
using Tensors = std::map<int64_t, void*>;

class Problem {
 public:
  virtual ~Problem() = default;
  /// What is wrong with it, whatever the engine; null where nothing is.
  virtual const char* mistake() const = 0;
  /// What the heuristics name, the best first; some of it turns out not to be supported once a plan is made.
  virtual std::vector<Engine> suggestions(bool fallback) const = 0;
  /// Why an engine does not take it; null where it does.
  virtual const char* refusal(const Engine& engine) const = 0;
  virtual int64_t workspaceBytes(const Engine& engine) const = 0;
  /// Why an engine does not take these addresses.
  virtual const char* refusal(const Engine& engine, const Tensors& tensors, const void* workspace) const = 0;
  /// What an engine queues. What is given by value is read before this returns.
  virtual std::function<void()> work(const Engine& engine, const Tensors& tensors, void* workspace) const = 0;
};

/// A graph of one convolution with, perhaps, a bias added behind it; null where it is none.
std::shared_ptr<const Problem> convolutionOf(const cuda::dnn::Impl& graph);
/// A graph of products and what is between them, as attention is; null where it is none.
std::shared_ptr<const Problem> attentionOf(const cuda::dnn::Impl& graph);

Engine convolutionEngine(int index, int knob);
/// Engines from here on are attention's.
inline constexpr int kFirstAttentionEngine = 100;
Engine attentionEngine(int index, int knob);

}  // namespace heddle::emulation
