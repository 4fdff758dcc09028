/** The public face of heddle. @module heddle */
import './ops/methods.js'

export { assign, Cell, type CellOptions, Parameter } from './cell.js'
export { type Compiled, type CompileOptions, compile } from './compile.js'
export * as functional from './functional.js'
export { Plan, type PlanMemory } from './graph/plan.js'
export type { PlanWork } from './graph/work.js'
export * as nn from './nn.js'
export * from './ops/activation.js'
export { type AttentionOptions, scaledDotProductAttention } from './ops/attention.js'
export { autocast, type Precision } from './ops/autocast.js'
export { type BatchNormOptions, batchNorm, batchNormTraining } from './ops/batchNorm.js'
export { concat, split, stack } from './ops/concat.js'
export { type ConvOptions, conv1d, conv2d } from './ops/conv.js'
export { arange, eye, full, ones, onesLike, zeros, zerosLike } from './ops/create.js'
export { type CrossEntropyOptions, crossEntropy, type LossReduction } from './ops/crossEntropy.js'
export {
  abs,
  acos,
  acosh,
  add,
  asin,
  asinh,
  atan,
  atan2,
  atanh,
  cast,
  ceil,
  cos,
  cosh,
  digamma,
  div,
  eq,
  erf,
  erfc,
  erfinv,
  exp,
  exp2,
  expm1,
  floor,
  floorDiv,
  ge,
  gt,
  isFinite,
  isNaN,
  le,
  lgamma,
  log,
  log1p,
  log2,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  lt,
  maximum,
  minimum,
  mod,
  mul,
  ne,
  neg,
  type Operand,
  pow,
  reciprocal,
  round,
  rsqrt,
  sigmoid,
  sign,
  sin,
  sinh,
  sqrt,
  sub,
  tan,
  tanh,
  trunc,
  where,
} from './ops/element.js'
export { argmax, argmin, embedding, gather, indexCopy, oneHot, scatterAdd, take } from './ops/gather.js'
export { checkpoint, customGradient, Gradients, grad, vjp } from './ops/gradient.js'
export { type LinearCrossEntropyOptions, linearCrossEntropy } from './ops/linearCrossEntropy.js'
export * from './ops/loss.js'
export { matmul } from './ops/matmul.js'
export { layerNorm, rmsNorm } from './ops/norm.js'
export { globalNorm } from './ops/optimizer.js'
export { pad } from './ops/pad.js'
export * from './ops/pool.js'
export {
  dequantizeTensor,
  type QuantizationOptions,
  type QuantizedConvOptions,
  type QuantizedDType,
  type QuantizedLinearOptions,
  quantizedConv2d,
  quantizedLinear,
  quantizeTensor,
} from './ops/quantized.js'
export {
  bernoulli,
  categorical,
  defaultGenerator,
  dropout,
  Generator,
  randomNormal,
  randomUniform,
  seed,
} from './ops/random.js'
export * from './ops/reduce.js'
export { logSoftmax, softmax } from './ops/softmax.js'
export {
  broadcastTo,
  flatten,
  flip,
  permute,
  type Range,
  reshape,
  slice,
  squeeze,
  stopGradient,
  transpose,
  unsqueeze,
} from './ops/view.js'
export * as schedule from './optim/schedule.js'
export * as optim from './optim.js'
export type { DeviceStatistics } from './runtime/binding.js'
export { Device, defaultDevice, device, listDevices, type Priority, setDefaultDevice } from './runtime/device.js'
export {
  ArgumentError,
  CheckpointError,
  ClosedError,
  DeadlineError,
  DeviceError,
  DeviceLostError,
  DisposedError,
  DTypeError,
  FormatError,
  GradientError,
  HeddleError,
  InternalError,
  LogError,
  OutOfMemoryError,
  OverloadedError,
  PretrainedError,
  ShapeError,
  StateDictError,
  StateLostError,
  StudentError,
  TeacherCacheError,
  TraceError,
} from './runtime/errors.js'
export type { LedgerEntry } from './runtime/ledger.js'
export { type MemoryDifference, type MemoryGroup, type MemorySnapshot, memory } from './runtime/memory.js'
export { type ProfileEvent, startProfile, stopProfile } from './runtime/profile.js'
export type { DType, FloatDType, IntDType } from './schema/dtype.js'
export type { Elements, Nested, Scalar, Stored } from './schema/elements.js'
export type { Shape } from './schema/shape.js'
export type { StateDict, StateOptions, TensorState } from './state.js'
export { type NaturalDType, scope, Tensor, type TensorData, type TensorOptions, tensor } from './tensor.js'
