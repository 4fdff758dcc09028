// Bias and activation by one pass: reads and writes each element once, 16 bytes at a time where the addresses allow.
#include "bias_activation.h"

#include "../core/element.h"
#include "device/activation.h"
#include "device/divide.h"
#include "device/pack.h"
#include "device/scalar.h"
#include "launch.h"

namespace heddle::cuda {
namespace {

struct Walk {
  int64_t elements;
  Divider<uint64_t> inner, channels;
};

/// Follows the channel of consecutive elements without dividing for each.
struct Channel {
  __device__ Channel(const Walk& walk, int64_t element) : walk(walk) {
    uint64_t rest = static_cast<uint64_t>(element);
    within = split(rest, walk.inner);
    index = split(rest, walk.channels);
  }
  __device__ void advance() {
    if (++within < walk.inner.divisor) return;
    within = 0;
    if (++index == walk.channels.divisor) index = 0;
  }

  const Walk& walk;
  uint64_t within;
  uint64_t index;
};

template <Activation activation, typename From, typename T>
__device__ inline T finished(From value, const T* bias, const Channel& channel) {
  using C = Compute<T>;
  C sum = static_cast<C>(value);
  if (bias) sum += widen(bias[channel.index]);
  return narrow<T>(activate(activation, sum));
}

template <Activation activation, typename From, typename T>
__global__ void finishElements(const From* values, const T* bias, T* result, const Walk walk, bool packed) {
  constexpr int kPack = 16 / sizeof(T);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t packs = packed ? walk.elements / kPack : 0;
#pragma unroll 1
  for (int64_t i = first; i < packs; i += step) {
    Pack<From, kPack> read{};
    if (values) read = reinterpret_cast<const Pack<From, kPack>*>(values)[i];
    Pack<T> written;
    Channel channel(walk, i * kPack);
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      written.element[j] = finished<activation>(read.element[j], bias, channel);
      channel.advance();
    }
    reinterpret_cast<Pack<T>*>(result)[i] = written;
  }
#pragma unroll 1
  for (int64_t i = packs * kPack + first; i < walk.elements; i += step)
    result[i] = finished<activation>(values ? values[i] : From(0), bias, Channel(walk, i));
}

template <Activation activation, typename From, typename T>
void queue(const void* values, const void* bias, void* result, const ChannelWalk& walk) {
  constexpr int kPack = 16 / sizeof(T);
  const auto* from = static_cast<const From*>(values);
  auto* to = static_cast<T*>(result);
  const bool packed = packAligned(to) && reinterpret_cast<unsigned long long>(from) % (kPack * sizeof(From)) == 0;
  launch("biasActivation", finishElements<activation, From, T>, gridFor(walk.elements, 256 * kPack), 256, 0, from,
         static_cast<const T*>(bias), to,
         Walk{walk.elements, Divider<uint64_t>(walk.inner), Divider<uint64_t>(walk.channels)}, packed);
}

/// One kernel for each activation: none waits for what another needs.
template <typename From, typename T>
void queueAny(const void* values, const void* bias, void* result, const ChannelWalk& walk, Activation activation) {
  switch (activation) {
    case Activation::relu: return queue<Activation::relu, From, T>(values, bias, result, walk);
    case Activation::gelu: return queue<Activation::gelu, From, T>(values, bias, result, walk);
    case Activation::geluTanh: return queue<Activation::geluTanh, From, T>(values, bias, result, walk);
    case Activation::sigmoid: return queue<Activation::sigmoid, From, T>(values, bias, result, walk);
    case Activation::tanh: return queue<Activation::tanh, From, T>(values, bias, result, walk);
    case Activation::silu: return queue<Activation::silu, From, T>(values, bias, result, walk);
    default: return queue<Activation::none, From, T>(values, bias, result, walk);
  }
}

}  // namespace

void queueBiasActivation(DType dtype, const void* values, const void* bias, void* result, const ChannelWalk& walk,
                         Activation activation) {
  if (walk.elements == 0) return;
  dispatchFloat("biasActivation", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    queueAny<Compute<T>, T>(values, bias, result, walk, activation);
  });
}

}  // namespace heddle::cuda
