// Layer norm and RMS norm by cuDNN's graphs of one operation.
#include <cudnn.h>

#include <limits>

#include "cudnn_check.h"
#include "libraries.h"

namespace bare {

namespace {

constexpr int64_t kMostPlans = 8;

/// A descriptor of the backend API; what is made stays until the process ends.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(cudnnBackendCreateDescriptor(type, &descriptor_), "making a descriptor");
  }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                  const void* values) {
    check(cudnnBackendSetAttribute(descriptor_, name, type, count, values), "describing an operation");
    return *this;
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &other.descriptor_);
  }
  cudnnStatus_t tryToFinalize() { return cudnnBackendFinalize(descriptor_); }
  Descriptor& finalize() {
    check(tryToFinalize(), "describing an operation");
    return *this;
  }
  cudnnBackendDescriptor_t get() const { return descriptor_; }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

/// A tensor of two axes, as cuDNN's norms want it: rows, columns and two of extent 1.
Descriptor tensor(int64_t id, cudnnDataType_t type, int64_t rows, int64_t columns, bool onHost = false) {
  const int64_t extents[] = {rows, columns, 1, 1}, strides[] = {columns, 1, columns, columns}, alignment = 16;
  Descriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, extents)
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment)
      .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &onHost);
  return made.finalize();
}

enum Id : int64_t { kX = 1, kScale, kBias, kEpsilon, kY, kMean, kInverse, kDy, kDx, kDscale, kDbias };

struct Problem {
  Element element;
  int64_t rows, columns;
  bool rms, backward;
};

Descriptor operationOf(const Problem& p) {
  const cudnnDataType_t type = typeOf(p.element), wide = CUDNN_DATA_FLOAT;
  const cudnnBackendNormMode_t mode = p.rms ? CUDNN_RMS_NORM : CUDNN_LAYER_NORM;
  const auto statistic = [&](Id id) { return tensor(id, wide, p.rows, 1); };
  const auto vector = [&](Id id) { return tensor(id, wide, 1, p.columns); };
  if (p.backward) {
    Descriptor operation(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode)
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, tensor(kX, type, p.rows, p.columns))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, tensor(kDy, type, p.rows, p.columns))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, vector(kScale))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, statistic(kInverse))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, vector(kDscale))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, tensor(kDx, type, p.rows, p.columns));
    if (!p.rms)
      operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, statistic(kMean))
          .set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, vector(kDbias));
    return operation.finalize();
  }
  const cudnnBackendNormFwdPhase_t phase = CUDNN_NORM_FWD_TRAINING;
  Descriptor operation(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, 1, &phase)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, tensor(kX, type, p.rows, p.columns))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, vector(kScale))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, tensor(kEpsilon, wide, 1, 1, true))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, statistic(kInverse))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, tensor(kY, type, p.rows, p.columns));
  if (!p.rms)
    operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, statistic(kMean))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, vector(kBias));
  return operation.finalize();
}

/// The plans of the heuristics that can be made, best first as they have it.
std::vector<Descriptor> plansOf(cudnnHandle_t handle, const Descriptor& operation) {
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle)
      .set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation)
      .finalize();
  std::vector<Descriptor> plans;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
        .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (heuristics.tryToFinalize() != CUDNN_STATUS_SUCCESS) continue;
    std::vector<cudnnBackendDescriptor_t> configs;
    for (int64_t i = 0; i < kMostPlans; i++) configs.push_back(Descriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).get());
    int64_t count = 0;
    check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                   kMostPlans, &count, configs.data()),
          "asking for engines");
    for (int64_t i = 0; i < count; i++) {
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle)
          .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
               &configs[static_cast<size_t>(i)]);
      if (plan.tryToFinalize() == CUDNN_STATUS_SUCCESS) plans.push_back(plan);
    }
  }
  return plans;
}

size_t workspaceOf(const Descriptor& plan) {
  int64_t bytes = 0, count = 0;
  check(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count,
                                 &bytes),
        "asking for the workspace");
  return static_cast<size_t>(bytes);
}

/// The operands of one copy, by the numbers of their tensors.
struct Operands {
  std::vector<int64_t> ids;
  std::vector<void*> pointers;
  std::vector<Memory> memory;

  void add(Id id, Memory data) {
    ids.push_back(id);
    pointers.push_back(data.data());
    memory.push_back(std::move(data));
  }
};

Operands operandsOf(const Problem& p, float* epsilon) {
  const auto rows = static_cast<size_t>(p.rows), columns = static_cast<size_t>(p.columns);
  const size_t arrayBytes = rows * columns * bytesOf(p.element);
  Operands made;
  made.add(kX, Memory::random(p.element, rows * columns));
  made.add(kScale, Memory::random(Element::f32, columns));
  made.add(kInverse, Memory::random(Element::f32, rows));
  if (!p.rms) made.add(kMean, Memory::random(Element::f32, rows));
  if (p.backward) {
    made.add(kDy, Memory::random(p.element, rows * columns));
    made.add(kDx, Memory(arrayBytes));
    made.add(kDscale, Memory(columns * 4));
    if (!p.rms) made.add(kDbias, Memory(columns * 4));
    return made;
  }
  made.add(kY, Memory(arrayBytes));
  if (!p.rms) made.add(kBias, Memory::random(Element::f32, columns));
  made.ids.push_back(kEpsilon);
  made.pointers.push_back(epsilon);
  return made;
}

}  // namespace

Timing norm(Element element, int64_t rows, int64_t columns, int copies, bool rms, bool backward) {
  const Problem problem{element, rows, columns, rms, backward};
  cudnnHandle_t handle = openCudnn();
  const std::vector<Descriptor> plans = plansOf(handle, operationOf(problem));
  if (plans.empty()) throw std::runtime_error("cuDNN has no engine for this norm");
  float epsilon = 1e-5f;
  std::vector<Operands> each;
  for (int copy = 0; copy < copies; copy++) each.push_back(operandsOf(problem, &epsilon));
  size_t workspaceBytes = 0;
  for (const Descriptor& plan : plans) workspaceBytes = std::max(workspaceBytes, workspaceOf(plan));
  const Memory workspace(workspaceBytes);
  std::vector<Descriptor> packs;
  for (const Operands& operands : each) {
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    const auto count = static_cast<int64_t>(operands.ids.size());
    void* scratch = workspace.data();
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, operands.ids.data())
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, operands.pointers.data())
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &scratch);
    packs.push_back(pack.finalize());
  }
  const auto run = [&](const Descriptor& plan, int copy) {
    check(cudnnBackendExecute(handle, plan.get(), packs[static_cast<size_t>(copy)].get()), "running a norm");
  };
  const Descriptor* fastest = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const Descriptor& plan : plans) {
    double ms;
    try {
      ms = measure(copies, [&](int copy) { run(plan, copy); }, 20, 3).ms;
    } catch (const std::runtime_error&) {
      continue;  // an engine that turns the operands down
    }
    if (ms >= least) continue;
    least = ms;
    fastest = &plan;
  }
  if (!fastest) throw std::runtime_error("cuDNN runs none of its engines for this norm");
  return measure(copies, [&](int copy) { run(*fastest, copy); });
}

}  // namespace bare
