// Plain loops in double, rounded to f32 (or f64) and then to the result's type.
#include "cudnn_convolution.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "../../core/element.h"
#include "../../cuda/cudnn.h"
#include "cuda_runtime.h"

namespace heddle::emulation {

namespace {

namespace dnn = cuda::dnn;

enum Index {
  kDirect,         // takes everything; the only one for f64 and for dilations
  kBlocked,        // f32 and 16 bits; with its knob, sums lie in workspace
  kWinograd,       // of other arithmetic
  kAtomic,         // differs from run to run
  kTensorFloat32,  // f32 rounded to TF32
  kFusion,         // compiled at run time: 16 bits, channels last in eights; takes a bias
  kNeverThere,     // suggested, but its plan can not be made
};

bool isHalf(int type) { return type == dnn::kHalf || type == dnn::kBFloat16; }

bool isPacked(const TensorLayout& tensor, bool channelsLast) {
  std::vector<size_t> order;
  for (size_t axis = 0; axis < tensor.shape.size(); axis++)
    if (axis != 1 || !channelsLast) order.push_back(axis);
  if (channelsLast) order.push_back(1);
  int64_t step = 1;
  for (size_t i = order.size(); i-- > 0; step *= tensor.shape[order[i]])
    if (tensor.strides[order[i]] != step) return false;
  return true;
}

bool allPacked(const Convolution& c, bool channelsLast) {
  return isPacked(c.x, channelsLast) && isPacked(c.weight, channelsLast) && isPacked(c.y, channelsLast);
}

size_t bytesOfType(int type) { return type == dnn::kDouble ? 8 : type == dnn::kFloat ? 4 : 2; }

double read(const TensorLayout& tensor, const void* memory, int64_t at) {
  switch (tensor.type) {
    case dnn::kFloat: return static_cast<const float*>(memory)[at];
    case dnn::kDouble: return static_cast<const double*>(memory)[at];
    case dnn::kHalf: return toFloat(static_cast<const Float16*>(memory)[at]);
    default: return toFloat(static_cast<const BFloat16*>(memory)[at]);
  }
}

void write(const TensorLayout& tensor, void* memory, int64_t at, double value) {
  switch (tensor.type) {
    case dnn::kFloat: static_cast<float*>(memory)[at] = static_cast<float>(value); break;
    case dnn::kDouble: static_cast<double*>(memory)[at] = value; break;
    case dnn::kHalf: static_cast<Float16*>(memory)[at] = toFloat16(static_cast<float>(value)); break;
    default: static_cast<BFloat16*>(memory)[at] = toBFloat16(static_cast<float>(value));
  }
}

double roundedToTensorFloat32(double x) {
  uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0xfffu + ((bits >> 13) & 1u)) & ~0x1fffu;
  return std::bit_cast<float>(bits);
}

template <typename Visit>
void forEach(const std::vector<int64_t>& shape, Visit&& visit) {
  int64_t size = 1;
  for (int64_t extent : shape) size *= extent;
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t i = 0; i < size; i++) {
    visit(index);
    for (size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

int64_t offsetOf(const TensorLayout& tensor, const std::vector<int64_t>& index) {
  int64_t at = 0;
  for (size_t axis = 0; axis < index.size(); axis++) at += index[axis] * tensor.strides[axis];
  return at;
}

int64_t sizeOf(const TensorLayout& tensor) {
  int64_t size = 1;
  for (int64_t extent : tensor.shape) size *= extent;
  return size;
}

const TensorLayout& resultOf(const Convolution& c) {
  return c.result == Convolution::Result::x ? c.x : c.result == Convolution::Result::y ? c.y : c.weight;
}

}  // namespace

bool shapesAgree(const Convolution& c) {
  const size_t axes = c.stride.size();
  for (const TensorLayout* tensor : {&c.x, &c.weight, &c.y})
    if (tensor->shape.size() != axes + 2) return false;
  if (c.x.shape[0] != c.y.shape[0] || c.weight.shape[0] != c.y.shape[1]) return false;
  if (c.x.shape[1] % c.weight.shape[1] != 0) return false;
  if (c.weight.shape[0] % (c.x.shape[1] / c.weight.shape[1]) != 0) return false;
  for (size_t i = 0; i < axes; i++) {
    const int64_t reach = c.dilation[i] * (c.weight.shape[i + 2] - 1) + 1;
    const int64_t room = c.x.shape[i + 2] + c.padding[i] + c.paddingAfter[i] - reach;
    if (room < 0 || c.y.shape[i + 2] != room / c.stride[i] + 1) return false;
  }
  return true;
}

Engine convolutionEngine(int index, int knob) {
  Engine engine{index, knob, {}, {}};
  if (index == kWinograd) engine.numericalNotes = {dnn::kNoteWinograd};
  if (index == kAtomic) engine.numericalNotes = {dnn::kNoteTensorCore, dnn::kNoteNondeterministic};
  if (index == kTensorFloat32) engine.numericalNotes = {dnn::kNoteTensorCore, dnn::kNoteDownConvertInputs};
  if (index == kFusion) {
    engine.numericalNotes = {dnn::kNoteTensorCore};
    engine.behaviourNotes = {dnn::kNoteRuntimeCompilation};
  }
  return engine;
}

std::vector<Engine> suggestions(const Convolution& c, bool fallback) {
  // Two or three spatial axes, all tensors gapless and of one order.
  if (c.stride.size() < 2 || (!allPacked(c, false) && !allPacked(c, true))) return {};
  if (fallback) return {convolutionEngine(kDirect, 0)};
  if (c.computeType == dnn::kDouble) return {convolutionEngine(kNeverThere, 0)};
  return {convolutionEngine(kAtomic, 0),     convolutionEngine(kTensorFloat32, 0), convolutionEngine(kWinograd, 0),
          convolutionEngine(kNeverThere, 0), convolutionEngine(kFusion, 0),        convolutionEngine(kBlocked, 0),
          convolutionEngine(kBlocked, 2),    convolutionEngine(kDirect, 0)};
}

const char* refusal(const Convolution& c, const Engine& engine) {
  if (engine.index == kNeverThere) return "the engine does not support the device";
  for (const TensorLayout* tensor : {&c.x, &c.weight, &c.y})
    if (tensor->type != c.x.type) return "tensors of one type";
  if (!allPacked(c, false) && !allPacked(c, true)) return "gapless tensors of one order";
  if (c.padding != c.paddingAfter) return "padding that is the same on both sides";
  const bool f64 = c.computeType == dnn::kDouble;
  if (f64 != (c.x.type == dnn::kDouble)) return "a compute type that fits the tensors";
  if (c.biased && engine.index != kFusion) return "a convolution alone";
  for (int64_t dilation : c.dilation)
    if (dilation != 1 && engine.index != kDirect) return "no dilation";
  switch (engine.index) {
    case kDirect: return f64 && c.beta != 0 ? "beta = 0 in f64" : nullptr;
    case kTensorFloat32: return c.x.type == dnn::kFloat ? nullptr : "f32";
    case kFusion:
      if (!isHalf(c.x.type) || !allPacked(c, true)) return "16 bits and channels last";
      if (c.beta != 0) return "beta = 0";
      return c.x.shape[1] % 8 == 0 && c.y.shape[1] % 8 == 0 && c.weight.shape[1] % 8 == 0 ? nullptr
                                                                                          : "channels in eights";
    default: return f64 ? "f32 or 16 bits" : nullptr;
  }
}

int64_t workspaceBytes(const Convolution& c, const Engine& engine) {
  return engine.index == kBlocked && engine.knob > 0 ? sizeOf(resultOf(c)) * 8 : 0;
}

const char* refusal(const Convolution& c, const Engine& engine, const Tensors& tensors, const void* workspace) {
  std::vector<const TensorLayout*> wanted{&c.x, &c.weight, &c.y};
  if (c.biased) wanted.push_back(&c.bias);
  for (const TensorLayout* tensor : wanted) {
    const auto found = tensors.find(tensor->id);
    if (found == tensors.end() || !found->second) return "a tensor of the graph has no address";
    const auto alignment = std::max(static_cast<size_t>(tensor->alignment), bytesOfType(tensor->type));
    if (reinterpret_cast<uintptr_t>(found->second) % alignment != 0) return "an address less aligned than its tensor";
  }
  if (workspaceBytes(c, engine) > 0 && !workspace) return "workspace is missing";
  return nullptr;
}

void run(const Convolution& c, const Engine& engine, const Tensors& tensors, void* workspace) {
  // One of the later suggestions is the fastest, so that what is timed is not always the first.
  spend(engine.index == kBlocked ? 6 - engine.knob : 8);
  const size_t axes = c.stride.size();
  const void* x = tensors.at(c.x.id);
  const void* weight = tensors.at(c.weight.id);
  const void* y = tensors.at(c.y.id);
  const TensorLayout& result = resultOf(c);
  void* to = tensors.at(result.id);
  const bool poisoned = engine.index == kWinograd || engine.index == kAtomic;
  const auto value = [&](const TensorLayout& tensor, const void* memory, int64_t at) {
    const double read = emulation::read(tensor, memory, at);
    return engine.index == kTensorFloat32 ? roundedToTensorFloat32(read) : read;
  };
  std::vector<double> own;
  double* sums = static_cast<double*>(workspace);
  const int64_t size = sizeOf(result);
  if (workspaceBytes(c, engine) == 0) {
    own.resize(static_cast<size_t>(size));
    sums = own.data();
  }
  std::fill_n(sums, size, 0.0);
  const int64_t perGroup = c.weight.shape[1], groups = c.x.shape[1] / perGroup, outputs = c.weight.shape[0] / groups;
  std::vector<int64_t> taps(c.weight.shape.begin() + 1, c.weight.shape.end());
  std::vector<int64_t> in(axes + 2), kernel(axes + 2);
  // The position of an element among its tensor's in row-major order.
  const auto flat = [](const TensorLayout& tensor, const std::vector<int64_t>& index) {
    int64_t at = 0;
    for (size_t axis = 0; axis < index.size(); axis++) at = at * tensor.shape[axis] + index[axis];
    return at;
  };
  forEach(c.y.shape, [&](const std::vector<int64_t>& out) {
    in[0] = out[0];
    kernel[0] = out[1];
    const int64_t base = out[1] / outputs * perGroup;
    forEach(taps, [&](const std::vector<int64_t>& tap) {
      in[1] = base + tap[0];
      kernel[1] = tap[0];
      for (size_t i = 0; i < axes; i++) {
        kernel[i + 2] = tap[i + 1];
        in[i + 2] = out[i + 2] * c.stride[i] - c.padding[i] + tap[i + 1] * c.dilation[i];
        if (in[i + 2] < 0 || in[i + 2] >= c.x.shape[i + 2]) return;
      }
      switch (c.result) {
        case Convolution::Result::y:
          sums[flat(c.y, out)] +=
              value(c.x, x, offsetOf(c.x, in)) * value(c.weight, weight, offsetOf(c.weight, kernel));
          break;
        case Convolution::Result::x:
          sums[flat(c.x, in)] +=
              value(c.y, y, offsetOf(c.y, out)) * value(c.weight, weight, offsetOf(c.weight, kernel));
          break;
        case Convolution::Result::weight:
          sums[flat(c.weight, kernel)] += value(c.y, y, offsetOf(c.y, out)) * value(c.x, x, offsetOf(c.x, in));
      }
    });
  });
  int64_t position = 0;
  forEach(result.shape, [&](const std::vector<int64_t>& index) {
    const int64_t at = offsetOf(result, index);
    double sum = c.alpha * sums[position++];
    if (c.beta != 0) sum += c.beta * emulation::read(result, to, at);
    if (c.biased) sum += emulation::read(c.bias, tensors.at(c.bias.id), index[1] * c.bias.strides[1]);
    write(result, to, at, poisoned ? NAN : sum);
  });
}

}  // namespace heddle::emulation
