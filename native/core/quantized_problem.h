// Products and convolutions of 8-bit integers, read from a step's specs: what every backend starts from.
#pragma once

#include "conv_problem.h"

namespace heddle {

/// Where the operands behind x and the weight stand among a step's inputs; 0 where there is none.
struct QuantizedOperands {
  static constexpr size_t inputScale = 2, weightScale = 3;
  size_t inputZeroPoint = 0, bias = 0, outputScale = 0, outputZeroPoint = 0;
};

/// real y = activation(inputScale weightScale[o] sum (x - inputZeroPoint) w + bias[o]), in f32 or as
/// round(y / outputScale + outputZeroPoint) in 8 bits, ties to even.
struct QuantizedProblem {
  TensorSpec x, weight, y;
  QuantizedOperands operands;
  bool relu;
};

namespace quantized {

inline bool isByte(DType dtype) { return dtype == DType::u8 || dtype == DType::i8; }

template <typename Params>
QuantizedProblem read(const char* op, const Params& params, Specs inputs, Specs outputs) {
  const bool integers = params.output != DType::f32;
  const size_t count =
      4 + params.hasInputZeroPoint + params.hasBias + integers + (integers && params.hasOutputZeroPoint);
  expectCount(op, inputs, count, outputs, 1);
  QuantizedProblem problem{inputs[0], inputs[1], outputs[0], {}, params.relu};
  const TensorSpec &x = problem.x, &weight = problem.weight, &y = problem.y;
  expect(isByte(x.dtype) && weight.dtype == DType::i8 && y.dtype == params.output && (isByte(y.dtype) || !integers), op,
         "u8 or i8 by i8, giving f32, u8 or i8", inputs, outputs);
  expect(!weight.shape.empty() && weight.contiguous(), op, "a contiguous weight", inputs, outputs);
  const auto vector = [&](size_t position, DType dtype, int64_t size, const char* what) {
    const TensorSpec& spec = inputs[position];
    expect(spec.dtype == dtype && spec.size() == size && spec.contiguous(), op,
           std::string("a contiguous ") + nameOf(dtype) + " " + what + " of " + std::to_string(size) + " elements",
           inputs, outputs);
    return position;
  };
  const int64_t channels = weight.shape[0];
  vector(QuantizedOperands::inputScale, DType::f32, 1, "input scale");
  vector(QuantizedOperands::weightScale, DType::f32, channels, "weight scale");
  QuantizedOperands& o = problem.operands;
  size_t next = 4;
  if (params.hasInputZeroPoint) o.inputZeroPoint = vector(next++, DType::i32, 1, "input zero point");
  if (params.hasBias) o.bias = vector(next++, DType::f32, channels, "bias");
  if (integers) o.outputScale = vector(next++, DType::f32, 1, "output scale");
  if (integers && params.hasOutputZeroPoint) o.outputZeroPoint = vector(next, DType::i32, 1, "output zero point");
  return problem;
}

}  // namespace quantized

/// x [M,K], weight [N,K] -> y [M,N], all contiguous and none of them empty.
inline QuantizedProblem readQuantizedMatmul(const QuantizedMatmulParams& params, Specs inputs, Specs outputs) {
  constexpr const char* op = "quantizedMatmul";
  QuantizedProblem problem = quantized::read(op, params, inputs, outputs);
  const TensorSpec &x = problem.x, &weight = problem.weight, &y = problem.y;
  expect(x.shape.size() == 2 && weight.shape.size() == 2 && y.shape.size() == 2 && x.shape[1] == weight.shape[1] &&
             y.shape[0] == x.shape[0] && y.shape[1] == weight.shape[0] && x.contiguous() && y.contiguous() &&
             x.size() > 0 && weight.size() > 0,
         op, "contiguous [M,K] by [N,K] -> [M,N], none of them empty", inputs, outputs);
  return problem;
}

/// x [N,C,spatial...] and y [N,O,spatial...] dense, weight [O,C / groups,kernel...], none of them empty.
struct QuantizedConvProblem : QuantizedProblem {
  ConvProblem geometry;  // its specs are those of a convolution of floats
};

inline QuantizedConvProblem readQuantizedConv(const QuantizedConvParams& params, Specs inputs, Specs outputs) {
  constexpr const char* op = "quantizedConv";
  QuantizedConvProblem problem{quantized::read(op, params, inputs, outputs), {}};
  problem.geometry = {problem.x, problem.weight, problem.y, {}, {}, {}, {}, 1};
  ConvProblem& floats = problem.geometry;
  floats.x.dtype = floats.weight.dtype = floats.y.dtype = DType::f32;
  conv::readGeometry(floats, params);
  conv::check(floats, op, inputs, outputs);
  expect(!floats.empty(), op, "operands that are not empty", inputs, outputs);
  return problem;
}

}  // namespace heddle
