// Operation graphs of cuDNN, the engines that may run one, and plans made of them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "../core/element.h"
#include "cudnn.h"

namespace heddle::cuda::dnn {

/// The library's number of a dtype. Throws Error unsupported for `op` where it has none.
int typeOf(const char* op, DType dtype);

/// Where a tensor of a graph lies.
enum class Place {
  memory,  // at an address each run gives, 16-byte aligned
  inside,  // nowhere: it goes from operation to operation
  value,   // one number on the host, at an address each run gives
};

/// An operation graph with everything it refers to.
class Graph {
 public:
  Graph() : graph_(kOperationGraph) {}

  /// A descriptor that lives as long as the graph.
  Descriptor& make(int type) { return *parts_.emplace_back(std::make_unique<Descriptor>(type)); }
  const Descriptor& tensor(int64_t id, int type, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                           Place place = Place::memory);
  /// Finalizes an operation and puts it behind those that are there.
  void add(Descriptor& operation);
  void finalize();

  const Descriptor& descriptor() const { return graph_; }

 private:
  std::vector<std::unique_ptr<Descriptor>> parts_;
  std::vector<RawDescriptor> operations_;
  Descriptor graph_;
};

/// An engine with its settings, ready to be made a plan.
struct Engine {
  std::string name;        // the same in every process with the same library and device
  bool compiledAtRunTime;  // making a plan of it takes most of a second
  std::shared_ptr<const Descriptor> config;
  std::shared_ptr<const Graph> graph;  // what the config refers to
};

/// The engines cuDNN suggests, then those it falls back on, without those whose arithmetic is not what heddle promises
/// of operands of `dtype`. Names begin with `prefix`. Empty where cuDNN knows none.
std::vector<Engine> enginesOf(const std::shared_ptr<const Graph>& graph, DType dtype, const std::string& prefix);

/// A setting of an engine: cuDNN's number of it and its value.
struct Knob {
  int type;
  int64_t value;
};

/// An engine by its number; nothing where it does not take the graph on this device.
std::optional<Engine> engineOf(const std::shared_ptr<const Graph>& graph, int64_t index, std::span<const Knob> knobs,
                               const std::string& prefix);

class Plan {
 public:
  /// Throws Error where the engine turns out not to take the problem.
  explicit Plan(const Engine& engine);

  size_t workspaceBytes() const { return workspaceBytes_; }
  /// Queues it; `addresses` of the tensors `ids`.
  void run(std::span<const int64_t> ids, std::span<void* const> addresses, void* workspace);

 private:
  Engine engine_;
  Descriptor plan_;
  size_t workspaceBytes_;
  // Addresses seldom change from run to run.
  std::vector<void*> last_;
  std::unique_ptr<Descriptor> pack_;
};

}  // namespace heddle::cuda::dnn
