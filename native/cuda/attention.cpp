// Ops attention and attentionGrad: reads the problem and chooses the kernels; native/cpu/attention.cpp is what they
// mean.
#include "attention.h"

#include <cmath>

#include "../core/check.h"
#include "context.h"
#include "kernels.h"

namespace heddle::cuda {
namespace {

template <typename T>
constexpr DType kDType = std::is_same_v<T, float>      ? DType::f32
                         : std::is_same_v<T, double>   ? DType::f64
                         : std::is_same_v<T, BFloat16> ? DType::bf16
                                                       : DType::f16;
template <typename T>
constexpr DType kStatistic = std::is_same_v<T, double> ? DType::f64 : DType::f32;

/// Kernels count with 32 bits, with room for a tile behind the end.
constexpr int64_t kMostExtent = int64_t{1} << 30;

/// q, k, v, and where there are any a mask and a generator's state, which stands last.
template <typename Params>
size_t firstOperands(const Params& params) {
  return size_t{3} + (params.hasMask ? 1 : 0) + (params.dropout > 0 ? 1 : 0);
}

/// What an operand without data says of its rows.
template <typename Rows>
void setStrides(Rows& rows, const TensorSpec& spec) {
  // An axis of one place has any stride.
  const auto stride = [&](size_t axis) { return spec.shape[axis] > 1 ? spec.strides[axis] : 0; };
  rows.batch = stride(0);
  rows.head = stride(1);
  rows.row = stride(2);
}

/// Checks an operand of features, or of one value per query, and reads its strides.
template <typename T>
void readRows(const char* op, HeadRows<T>& rows, const TensorSpec& spec, const std::vector<int64_t>& shape,
              Specs inputs, Specs outputs) {
  constexpr DType dtype = kDType<std::remove_const_t<T>>;
  expect(spec.dtype == dtype && spec.shape == shape && (shape[3] <= 1 || spec.strides[3] == 1), op,
         std::string(nameOf(dtype)) + formatList(shape) + " with stride 1 in the last axis", inputs, outputs);
  setStrides(rows, spec);
}
template <typename T>
void readStatistic(const char* op, AttentionCall<T>& call, const TensorSpec& spec, Specs inputs, Specs outputs) {
  const std::vector<int64_t> shape = {call.batch, call.heads, call.queries};
  expect(spec.dtype == kStatistic<T> && spec.shape == shape, op, nameOf(kStatistic<T>) + formatList(shape), inputs,
         outputs);
  call.logSumExp.batch = spec.strides[0];
  call.logSumExp.head = spec.strides[1];
  call.logSumExp.query = spec.strides[2];
}

template <typename T>
void readMask(const char* op, AttentionCall<T>& call, const TensorSpec& mask, Specs inputs, Specs outputs) {
  const int64_t extents[] = {call.batch, call.heads, call.queries, call.keys};
  const size_t rank = mask.shape.size();
  expect(rank <= 4 && (mask.dtype == DType::bool_ || isFloat(mask.dtype)), op,
         "a bool or float mask that broadcasts to [B,H,T,S]", inputs, outputs);
  call.mask.type = mask.dtype;
  for (size_t i = 0; i < rank; i++) {
    const size_t axis = 4 - rank + i;
    expect(mask.shape[i] == extents[axis] || mask.shape[i] == 1, op, "a mask that broadcasts to [B,H,T,S]", inputs,
           outputs);
    call.mask.strides[axis] = mask.shape[i] == 1 ? 0 : mask.strides[i];
  }
}

/// The call without its operands' addresses.
template <typename T, typename Params>
AttentionCall<T> readCall(const char* op, const Params& params, Specs inputs, Specs outputs) {
  for (size_t i = 0; i < 3; i++)
    expect(inputs[i].shape.size() == 4 && inputs[i].dtype == inputs[0].dtype, op, "q, k, v of rank 4 and one dtype",
           inputs, outputs);
  const std::vector<int64_t>&q = inputs[0].shape, &k = inputs[1].shape, &v = inputs[2].shape;
  const int64_t heads = q[1], keyHeads = k[1];
  expect(k == std::vector<int64_t>({q[0], keyHeads, k[2], q[3]}) &&
             v == std::vector<int64_t>({q[0], keyHeads, k[2], v[3]}) &&
             (keyHeads > 0 ? heads % keyHeads == 0 : heads == 0),
         op, "q [B,H,T,D], k [B,Hkv,S,D], v [B,Hkv,S,Dv] with H a multiple of Hkv", inputs, outputs);
  for (int64_t extent : {q[0], q[1], q[2], k[2]})
    expect(extent <= kMostExtent, op, "no extent above 2^30", inputs, outputs);
  if (q[3] > kWidestHead || v[3] > kWidestHead)
    throw Error(ErrorCode::unsupported, std::string(op) + ": on CUDA heads are at most " + std::to_string(kWidestHead) +
                                            " wide, not " + std::to_string(std::max(q[3], v[3])) +
                                            "; compose it of matmul and softmax, or use the CPU");
  AttentionCall<T> call{};
  call.batch = static_cast<int>(q[0]);
  call.heads = static_cast<int>(heads);
  call.keyHeads = static_cast<int>(keyHeads);
  call.queries = static_cast<int>(q[2]);
  call.keys = static_cast<int>(k[2]);
  call.width = static_cast<int>(q[3]);
  call.valueWidth = static_cast<int>(v[3]);
  call.causal = params.causal;
  call.scale = static_cast<Compute<T>>(params.scale);
  readRows(op, call.q, inputs[0], q, inputs, outputs);
  readRows(op, call.k, inputs[1], k, inputs, outputs);
  readRows(op, call.v, inputs[2], v, inputs, outputs);
  if (params.hasMask) readMask(op, call, inputs[3], inputs, outputs);
  expect(params.dropout >= 0 && params.dropout < 1, op, "a dropout from 0 up to, but not, 1", inputs, outputs);
  call.keptScale = static_cast<Compute<T>>(1 / (1 - params.dropout));
  if (params.dropout > 0) {
    const TensorSpec& state = inputs[firstOperands(params) - 1];
    expect(state.dtype == DType::i64 && state.shape == std::vector<int64_t>{2}, op,
           "a generator's state i64[2] behind the mask", inputs, outputs);
    call.dropout.stateStride = state.strides[0];
    call.dropout.offset = params.offset;
    call.dropout.limit = static_cast<unsigned>(std::ceil(static_cast<float>(params.dropout) * 0x1p24f));
  }
  return call;
}

template <typename T>
void place(HeadRows<T>& rows, T* data, int width) {
  constexpr int64_t pack = 16 / sizeof(T);
  rows.data = data;
  rows.packed = reinterpret_cast<uintptr_t>(data) % 16 == 0 && rows.batch % pack == 0 && rows.head % pack == 0 &&
                rows.row % pack == 0 && width % pack == 0;
}

/// Addresses of what both ops have; gives the number of operands read.
template <typename T, typename Params>
size_t placeFirst(AttentionCall<T>& call, const Params& params, const RunOperands& operands) {
  const auto input = [&](size_t i) { return static_cast<const T*>(operands.inputs[i]); };
  place(call.q, input(0), call.width);
  place(call.k, input(1), call.width);
  place(call.v, input(2), call.valueWidth);
  const size_t count = firstOperands(params);
  if (params.hasMask) call.mask.data = operands.inputs[3];
  if (params.dropout > 0) call.dropout.state = static_cast<const int64_t*>(operands.inputs[count - 1]);
  return count;
}

bool tensorCoresFor(DType dtype) {
  const Context& context = Context::current();
  if (dtype == DType::bf16) return context.major >= 8;
  return dtype == DType::f16 && (context.major >= 8 || (context.major == 7 && context.minor == 5));
}

/// `tensor` where there are tensor cores and room for its tiles, else `scalar`.
template <typename T>
AttentionLaunch<T> choose(AttentionLaunch<T> (*tensor)(int64_t), AttentionLaunch<T> (*scalar)(int64_t),
                          const AttentionCall<T>& call) {
  const int64_t width = std::max(call.width, call.valueWidth);
  AttentionLaunch<T> launch = nullptr;
  if (tensor && tensorCoresFor(kDType<T>)) launch = tensor(width);
  return launch ? launch : scalar(width);
}
template <typename T>
constexpr bool kHalf = sizeof(T) == 2;

template <typename T>
class Attention : public Kernel {
 public:
  Attention(const AttentionParams& params, const AttentionCall<T>& call) : params_(params), call_(call) {
    AttentionLaunch<T> (*tensor)(int64_t) = nullptr;
    if constexpr (kHalf<T>) tensor = tensorAttention<T>;
    launch_ = choose(tensor, scalarAttention<T>, call);
  }

  void run(const RunOperands& operands) override {
    AttentionCall<T> call = call_;
    placeFirst(call, params_, operands);
    place(call.out, static_cast<T*>(operands.outputs[0]), call.valueWidth);
    call.logSumExp.data = static_cast<Compute<T>*>(operands.outputs[1]);
    launch_(call);
  }

 private:
  const AttentionParams params_;
  const AttentionCall<T> call_;
  AttentionLaunch<T> launch_;
};

template <typename T>
class AttentionGrad : public Kernel {
 public:
  AttentionGrad(const AttentionGradParams& params, const AttentionCall<T>& call) : params_(params), call_(call) {
    AttentionLaunch<T> (*tensor)(int64_t) = nullptr;
    if constexpr (kHalf<T>) tensor = tensorAttentionGrad<T>;
    launch_ = choose(tensor, scalarAttentionGrad<T>, call);
  }

  size_t workspaceBytes() const override {
    return sizeof(Compute<T>) * static_cast<size_t>(call_.batch) * static_cast<size_t>(call_.heads) *
           static_cast<size_t>(call_.queries);
  }

  void run(const RunOperands& operands) override {
    AttentionCall<T> call = call_;
    const size_t next = placeFirst(call, params_, operands);
    place(call.savedOut, static_cast<const T*>(operands.inputs[next]), call.valueWidth);
    // The kernels of the gradient only read them.
    call.logSumExp.data = static_cast<Compute<T>*>(const_cast<void*>(operands.inputs[next + 1]));
    place(call.outGrad, static_cast<const T*>(operands.inputs[next + 2]), call.valueWidth);
    call.products = static_cast<Compute<T>*>(operands.workspace);
    place(call.qGrad, static_cast<T*>(operands.outputs[0]), call.width);
    place(call.kGrad, static_cast<T*>(operands.outputs[1]), call.width);
    place(call.vGrad, static_cast<T*>(operands.outputs[2]), call.valueWidth);
    launch_(call);
  }

 private:
  const AttentionGradParams params_;
  const AttentionCall<T> call_;
  AttentionLaunch<T> launch_;
};

std::unique_ptr<Kernel> makeAttention(WordReader& words, Specs inputs, Specs outputs) {
  constexpr const char* op = "attention";
  const AttentionParams params = AttentionParams::read(words);
  expectCount(op, inputs, firstOperands(params), outputs, 2);
  return dispatchFloat(op, inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    AttentionCall<T> call = readCall<T>(op, params, inputs, outputs);
    readRows(op, call.out, outputs[0], {call.batch, call.heads, call.queries, call.valueWidth}, inputs, outputs);
    readStatistic(op, call, outputs[1], inputs, outputs);
    return std::make_unique<Attention<T>>(params, call);
  });
}

std::unique_ptr<Kernel> makeAttentionGrad(WordReader& words, Specs inputs, Specs outputs) {
  constexpr const char* op = "attentionGrad";
  const AttentionGradParams params = AttentionGradParams::read(words);
  const size_t next = firstOperands(params);
  expectCount(op, inputs, next + 3, outputs, 3);
  return dispatchFloat(op, inputs[0].dtype, [&](auto tag) -> std::unique_ptr<Kernel> {
    using T = typename decltype(tag)::type;
    AttentionCall<T> call = readCall<T>(op, params, inputs, outputs);
    const std::vector<int64_t> shape = {call.batch, call.heads, call.queries, call.valueWidth};
    readRows(op, call.savedOut, inputs[next], shape, inputs, outputs);
    readStatistic(op, call, inputs[next + 1], inputs, outputs);
    readRows(op, call.outGrad, inputs[next + 2], shape, inputs, outputs);
    readRows(op, call.qGrad, outputs[0], inputs[0].shape, inputs, outputs);
    readRows(op, call.kGrad, outputs[1], inputs[1].shape, inputs, outputs);
    readRows(op, call.vGrad, outputs[2], inputs[2].shape, inputs, outputs);
    return std::make_unique<AttentionGrad<T>>(params, call);
  });
}

}  // namespace

void registerAttention(KernelTable& table) {
  table.add(OpId::attention, makeAttention);
  table.add(OpId::attentionGrad, makeAttentionGrad);
}

}  // namespace heddle::cuda
