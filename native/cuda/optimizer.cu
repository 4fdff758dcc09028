// Ops adam and sgd: one pass over many tensors, in place. Bound by memory: Adam moves 28 bytes per f32 parameter (22
// per 16-bit one), momentum 20 (14), plain descent 12 (6).
#include "../core/optimizer_problem.h"
#include "context.h"
#include "device/row.h"
#include "kernels.h"
#include "launch.h"
#include "tensor_batch.h"

namespace heddle::cuda {
namespace {

constexpr int64_t kChunk = 4096;
constexpr int kThreads = 256;

/// The scalars an optimizer's inputs begin with, in device memory.
struct StepScalars {
  const double* rate;
  const int64_t* step;
  const double* gradScale;  // null where gradients are not scaled
  const bool* applies;      // null where every step does

  StepScalars(const RunOperands& operands, StepScalarKinds kinds)
      : rate(static_cast<const double*>(operands.inputs[0])),
        step(static_cast<const int64_t*>(operands.inputs[1])),
        gradScale(kinds.gradScale ? static_cast<const double*>(operands.inputs[2]) : nullptr),
        applies(kinds.applies ? static_cast<const bool*>(operands.inputs[kinds.appliesPosition()]) : nullptr) {}

  __device__ double scale() const { return gradScale ? *gradScale : 1; }
};

struct AdamSettings {
  double beta1, beta2, eps, weightDecay;
  bool decoupled;
};
struct SgdSettings {
  double momentum, dampening, weightDecay;
  bool nesterov;
};

/// What is the same for every element of one step.
template <typename C>
struct AdamFactors {
  C gradScale, coupledDecay, oneMinusBeta1, beta2, oneMinusBeta2, rootCorrection, eps, keep, stepSize;

  __device__ AdamFactors(const AdamSettings& settings, const StepScalars& scalars) {
    const double rate = *scalars.rate, step = static_cast<double>(*scalars.step);
    gradScale = static_cast<C>(scalars.scale());
    coupledDecay = static_cast<C>(settings.decoupled ? 0 : settings.weightDecay);
    oneMinusBeta1 = static_cast<C>(1 - settings.beta1);
    beta2 = static_cast<C>(settings.beta2);
    oneMinusBeta2 = static_cast<C>(1 - settings.beta2);
    rootCorrection = static_cast<C>(1 / sqrt(1 - pow(settings.beta2, step)));
    eps = static_cast<C>(settings.eps);
    keep = static_cast<C>(settings.decoupled ? 1 - rate * settings.weightDecay : 1);
    stepSize = static_cast<C>(rate / (1 - pow(settings.beta1, step)));
  }

  __device__ void update(C& param, C grad, C& m, C& v) const {
    const C g = grad * gradScale + coupledDecay * param;
    m += (g - m) * oneMinusBeta1;
    v = v * beta2 + g * g * oneMinusBeta2;
    param = param * keep - stepSize * m / (sqrt(v) * rootCorrection + eps);
  }
};

template <typename C>
struct SgdFactors {
  C gradScale, decay, momentum, gradShare, rate;
  bool first, nesterov;

  __device__ SgdFactors(const SgdSettings& settings, const StepScalars& scalars)
      : gradScale(static_cast<C>(scalars.scale())),
        decay(static_cast<C>(settings.weightDecay)),
        momentum(static_cast<C>(settings.momentum)),
        gradShare(static_cast<C>(1 - settings.dampening)),
        rate(static_cast<C>(*scalars.rate)),
        first(*scalars.step == 1),
        nesterov(settings.nesterov) {}

  __device__ void update(C& param, C grad) const { param -= rate * (grad * gradScale + decay * param); }
  __device__ void update(C& param, C grad, C& velocity) const {
    const C g = grad * gradScale + decay * param;
    velocity = first ? g : velocity * momentum + g * gradShare;
    param -= rate * (nesterov ? g + momentum * velocity : velocity);
  }
};

/// `kCount` elements, 0 from `available` on.
template <int kCount, typename T>
__device__ inline void loadSome(const void* base, int64_t first, int available, bool aligned, T (&elements)[kCount]) {
  const T* from = static_cast<const T*>(base) + first;
  if (aligned && available >= kCount) {
#pragma unroll
    for (int i = 0; i < kCount; i += kPackWidth<T>) {
      const Pack<T> pack = elementsOf<T>(*reinterpret_cast<const Words*>(from + i));
#pragma unroll
      for (int j = 0; j < kPackWidth<T>; j++) elements[i + j] = pack.element[j];
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kCount; i++) elements[i] = i < available ? from[i] : T{};
}
template <int kCount, typename T>
__device__ inline void storeSome(const void* base, int64_t first, int available, bool aligned,
                                 const T (&elements)[kCount]) {
  T* to = static_cast<T*>(const_cast<void*>(base)) + first;
  if (aligned && available >= kCount) {
#pragma unroll
    for (int i = 0; i < kCount; i += kPackWidth<T>) {
      Pack<T> pack;
#pragma unroll
      for (int j = 0; j < kPackWidth<T>; j++) pack.element[j] = elements[i + j];
      *reinterpret_cast<Words*>(to + i) = wordsOf(pack);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kCount; i++)
    if (i < available) to[i] = elements[i];
}

/// Addresses of a tensor with S states: parameter, gradient, S states, then the results: parameter, S states.
template <int kStates>
using Batch = TensorBatch<3 + 2 * kStates, kStates == 2   ? 56
                                           : kStates == 1 ? 72
                                                          : 96>;

/// Whether a tensor's results are the very memory of its operands.
template <int kStates>
__device__ inline bool inPlace(const Batch<kStates>& batch, int tensor) {
  bool same = batch.address[2 + kStates][tensor] == batch.address[0][tensor];
#pragma unroll
  for (int s = 0; s < kStates; s++)
    same = same && batch.address[3 + kStates + s][tensor] == batch.address[2 + s][tensor];
  return same;
}

/// Blocks walk the chunks. Results may be the very memory of their operands: each thread reads its elements before it
/// writes them.
template <int kStates, template <typename> typename Factors, typename T, typename Settings>
__global__ __launch_bounds__(kThreads) void updateTensors(const __grid_constant__ Batch<kStates> batch,
                                                          Settings settings, StepScalars scalars, const int* finding) {
  // A step whose losses or gradients were computed from a wrong index changes nothing.
  if (*finding != 0) return;
  using C = Compute<T>;
  constexpr int kWidth = kPackWidth<T>;
  // The powers in f64 are computed by one thread per block.
  __shared__ __align__(16) unsigned char memory[sizeof(Factors<C>)];
  if (threadIdx.x == 0) *reinterpret_cast<Factors<C>*>(memory) = Factors<C>(settings, scalars);
  __syncthreads();
  const Factors<C> factors = *reinterpret_cast<const Factors<C>*>(memory);
  // A step that does not apply leaves what is in place untouched and copies the rest.
  const bool applies = !scalars.applies || *scalars.applies;
  const int chunks = batch.firstChunk[batch.count];
  for (int chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    const int tensor = tensorOfChunk(batch, chunk);
    if (!applies && inPlace<kStates>(batch, tensor)) continue;
    const int64_t start = int64_t{chunk - batch.firstChunk[tensor]} * kChunk;
    const int64_t left = batch.size[tensor] - start;
    const int count = static_cast<int>(left < kChunk ? left : kChunk);
    bool aligned = true;
#pragma unroll
    for (int i = 0; i < 3 + 2 * kStates; i++)
      aligned = aligned && packAligned(static_cast<const char*>(batch.address[i][tensor]));
    for (int i = threadIdx.x * kWidth; i < count; i += kThreads * kWidth) {
      const int64_t at = start + i;
      const int available = count - i;
      T param[kWidth], grad[kWidth];
      C states[kStates == 0 ? 1 : kStates][kWidth];
      loadSome(batch.address[0][tensor], at, available, aligned, param);
      loadSome(batch.address[1][tensor], at, available, aligned, grad);
#pragma unroll
      for (int s = 0; s < kStates; s++) loadSome(batch.address[2 + s][tensor], at, available, aligned, states[s]);
      if (applies) {
#pragma unroll
        for (int j = 0; j < kWidth; j++) {
          C value = widen(param[j]);
          if constexpr (kStates == 0) factors.update(value, widen(grad[j]));
          if constexpr (kStates == 1) factors.update(value, widen(grad[j]), states[0][j]);
          if constexpr (kStates == 2) factors.update(value, widen(grad[j]), states[0][j], states[1][j]);
          param[j] = narrow<T>(value);
        }
      }
      storeSome(batch.address[2 + kStates][tensor], at, available, aligned, param);
#pragma unroll
      for (int s = 0; s < kStates; s++)
        storeSome(batch.address[3 + kStates + s][tensor], at, available, aligned, states[s]);
    }
  }
}

template <int kStates, template <typename> typename Factors, typename Settings>
class Optimizer : public Kernel {
 public:
  Optimizer(const char* op, Settings settings, int64_t count, StepScalarKinds kinds, Specs tensors)
      : op_(op),
        settings_(settings),
        count_(static_cast<size_t>(count)),
        kinds_(kinds),
        groups_(groupTensors(tensors)) {}

  bool guarded() const override { return true; }

  void run(const RunOperands& operands) override {
    const StepScalars scalars(operands, kinds_);
    const size_t first = kinds_.count();
    const auto addressOf = [&](int operand, size_t tensor) -> const void* {
      constexpr int inputs = 2 + kStates;
      if (operand < inputs) return operands.inputs[first + static_cast<size_t>(operand) * count_ + tensor];
      return operands.outputs[static_cast<size_t>(operand - inputs) * count_ + tensor];
    };
    for (const TensorGroup& group : groups_)
      dispatchFloat(op_, group.dtype, [&](auto tag) {
        forEachBatch<3 + 2 * kStates, Batch<kStates>::capacity>(
            group, kChunk, addressOf, [&](const Batch<kStates>& batch) {
              launch(op_, updateTensors<kStates, Factors, typename decltype(tag)::type, Settings>,
                     gridFor(batch.firstChunk[batch.count], 1, 1), kThreads, 0, batch, settings_, scalars,
                     &Context::current().report->finding);
            });
      });
  }

 private:
  const char* op_;
  const Settings settings_;
  const size_t count_;
  const StepScalarKinds kinds_;
  const std::vector<TensorGroup> groups_;
};

std::unique_ptr<Kernel> makeAdam(WordReader& words, Specs in, Specs out) {
  const AdamParams params = AdamParams::read(words);
  const StepScalarKinds kinds(params);
  const Specs tensors = readOptimizer("adam", params.count, 2, kinds, in, out);
  const AdamSettings settings{params.beta1, params.beta2, params.eps, params.weightDecay, params.decoupled};
  return std::make_unique<Optimizer<2, AdamFactors, AdamSettings>>("adam", settings, params.count, kinds, tensors);
}

std::unique_ptr<Kernel> makeSgd(WordReader& words, Specs in, Specs out) {
  const SgdParams params = SgdParams::read(words);
  const size_t states = params.momentum != 0 ? 1 : 0;
  const StepScalarKinds kinds(params);
  const Specs tensors = readOptimizer("sgd", params.count, states, kinds, in, out);
  const SgdSettings settings{params.momentum, params.dampening, params.weightDecay, params.nesterov};
  if (states == 0)
    return std::make_unique<Optimizer<0, SgdFactors, SgdSettings>>("sgd", settings, params.count, kinds, tensors);
  return std::make_unique<Optimizer<1, SgdFactors, SgdSettings>>("sgd", settings, params.count, kinds, tensors);
}

}  // namespace

void registerOptimizers(KernelTable& table) {
  table.add(OpId::adam, makeAdam);
  table.add(OpId::sgd, makeSgd);
}

}  // namespace heddle::cuda
