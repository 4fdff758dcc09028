// int8 inference: quantising, and linear maps and convolutions of 8-bit integers that sum in i32.
import type { Value } from '../graph/node.js'
import { ArgumentError, DTypeError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, sizeOf } from '../schema/shape.js'
import { Tensor } from '../tensor.js'
import { relu } from './activation.js'
import { expectShape, integerFrom, numberIn, oneOf, optionsOf } from './arguments.js'
import { autocast } from './autocast.js'
import { conv2d } from './conv.js'
import { full } from './create.js'
import { defineOp, none, operand } from './define.js'
import { add, cast, div, mul, round, sub } from './element.js'
import { reshaped } from './linear.js'
import { matmul } from './matmul.js'
import { transpose } from './view.js'
import { channelsLast, type SlidingOptions, slidExtents, slidingOver } from './window.js'

/** Dtypes of quantised activations; weights are i8. */
export type QuantizedDType = 'u8' | 'i8'

/** The integers of a quantised dtype, from the lowest to the highest. */
export const QUANTIZED_RANGE: Readonly<Record<QuantizedDType, readonly [number, number]>> = {
  u8: [0, 255],
  i8: [-128, 127],
}

/** Which operands there are behind x, w, inputScale and weightScale, in this order but for `relu` and `output`. */
const EXTRAS = {
  hasInputZeroPoint: 'bool',
  hasBias: 'bool',
  relu: 'bool',
  output: 'dtype',
  hasOutputZeroPoint: 'bool',
} as const

interface Extras {
  readonly hasInputZeroPoint: boolean
  readonly hasBias: boolean
  readonly relu: boolean
  readonly output: DType
  readonly hasOutputZeroPoint: boolean
}

const OPERANDS = [
  'x',
  'w',
  'inputScale',
  'weightScale',
  'inputZeroPoint',
  'bias',
  'outputScale',
  'outputZeroPoint',
] as const

/** x [M,K], w [N,K] -> [M,N]. */
const QUANTIZED_MATMUL = defineOp('quantizedMatmul', {
  inputs: OPERANDS,
  params: EXTRAS,
  shape: ([x, w], { output }) => ({
    dtype: output,
    shape: [(x as Spec).shape[0] as number, (w as Spec).shape[0] as number],
  }),
  grad: none,
})

/** x [N,C,...], w [O,C/groups,...kernel] -> [N,O,...]. */
const QUANTIZED_CONV = defineOp('quantizedConv', {
  inputs: OPERANDS,
  params: { stride: 'i64[]', padding: 'i64[]', dilation: 'i64[]', groups: 'i64', ...EXTRAS },
  strides: ['dense', 'contiguous'],
  order: ([x]) => [channelsLast((x as readonly number[]).length)],
  shape: ([x, w], params) => {
    const { shape } = x as Spec
    const [outputs, , ...kernel] = (w as Spec).shape as [number, number, ...number[]]
    const spatial = slidExtents('quantizedConv2d', shape.slice(2), { ...params, kernel })
    return { dtype: params.output, shape: [shape[0] as number, outputs, ...spatial] }
  },
  grad: none,
})

/** How real numbers stand for integers: real = scale (integer - zeroPoint). */
export interface QuantizationOptions {
  /** One number above 0, or a scalar f32 tensor. */
  readonly scale: Tensor | number
  /** The integer that stands for 0: a number or a scalar i32 tensor. Default 0, which is computed faster. */
  readonly zeroPoint?: Tensor | number | undefined
  /** Default u8. */
  readonly dtype?: QuantizedDType
}

interface Quantization {
  readonly scale: Tensor
  readonly zeroPoint: Tensor | undefined
  readonly dtype: QuantizedDType
}

function scalar(op: string, name: string, value: Tensor, dtype: DType): Tensor {
  const { dtype: given, shape } = operand(op, value)
  if (given !== dtype || sizeOf(shape) !== 1)
    throw new ArgumentError(
      `${op}: ${name} must be a number or a scalar ${dtype} tensor, not ${given}${formatShape(shape)}`,
    )
  return reshaped(value, [])
}

function quantizationOf(op: string, name: string, options: QuantizationOptions): Quantization {
  if (typeof options !== 'object' || options === null)
    throw new ArgumentError(`${op}: ${name} must be { scale, zeroPoint, dtype }, not ${describe(options)}`)
  const { scale, zeroPoint, dtype = 'u8' } = options
  oneOf(op, `${name}.dtype`, dtype, ['u8', 'i8'])
  const [low, high] = QUANTIZED_RANGE[dtype]
  const step =
    scale instanceof Tensor
      ? scalar(op, `${name}.scale`, scale, 'f32')
      : full([], numberIn(op, `${name}.scale`, scale, Number.MIN_VALUE))
  if (typeof zeroPoint === 'number') {
    integerFrom(op, `${name}.zeroPoint`, zeroPoint, low)
    if (zeroPoint > high)
      throw new ArgumentError(`${op}: ${name}.zeroPoint is ${zeroPoint}, but ${dtype} ends at ${high}`)
  }
  const offset =
    zeroPoint === undefined || zeroPoint === 0
      ? undefined
      : zeroPoint instanceof Tensor
        ? scalar(op, `${name}.zeroPoint`, zeroPoint, 'i32')
        : full([], zeroPoint, { dtype: 'i32' })
  return { scale: step, zeroPoint: offset, dtype }
}

const rounded = (x: Tensor, { scale, zeroPoint, dtype }: Quantization): Tensor => {
  const steps = div(x, scale)
  // The zero point comes before rounding, as in oneDNN: ties go to the even integer.
  const moved = zeroPoint ? add(steps, cast(zeroPoint, 'f32')) : steps
  // The cast saturates.
  return cast(round(moved), dtype)
}

/**
 * round(x / scale + zeroPoint), ties to even, clamped to the dtype's range. Throws `DTypeError` unless `x` is f32,
 * `ArgumentError`. NaN has no integer: what it becomes is not said.
 */
export function quantizeTensor(x: Tensor, options: QuantizationOptions): Tensor {
  const op = 'quantizeTensor'
  const { dtype } = operand(op, x)
  if (dtype !== 'f32') throw new DTypeError(`${op}: it takes f32, not ${dtype}; cast it first`)
  return rounded(x, quantizationOf(op, 'the options', options))
}

/** scale (x - zeroPoint) in f32: the reverse of `quantizeTensor`. */
export function dequantizeTensor(x: Tensor, options: Omit<QuantizationOptions, 'dtype'>): Tensor {
  const op = 'dequantizeTensor'
  const { dtype } = operand(op, x)
  if (dtype !== 'u8' && dtype !== 'i8') throw new DTypeError(`${op}: it takes u8 or i8, not ${dtype}`)
  return real(x, quantizationOf(op, 'the options', { ...options, dtype }))
}

const real = (x: Tensor, { scale, zeroPoint }: Pick<Quantization, 'scale' | 'zeroPoint'>): Tensor => {
  const steps = cast(x, 'f32')
  return mul(zeroPoint ? sub(steps, cast(zeroPoint, 'f32')) : steps, scale)
}

export interface QuantizedLinearOptions {
  /** Of x: real = scale (integer - zeroPoint). f32 is quantised to its `dtype` first. */
  readonly input: QuantizationOptions
  /** f32 [N], in real units. Default: none. */
  readonly bias?: Tensor | undefined
  /** Applied to the real result. Default none. */
  readonly activation?: 'none' | 'relu'
  /** Quantises the result, for the next layer to take as it is. Default: f32. */
  readonly output?: QuantizationOptions | undefined
}

export interface QuantizedConvOptions extends QuantizedLinearOptions, SlidingOptions {
  /** Input channels are split into this many groups. Default 1. */
  readonly groups?: number
}

interface Problem {
  readonly x: Tensor
  readonly weight: Tensor
  readonly weightScale: Tensor
  readonly input: Quantization
  readonly bias: Tensor | undefined
  readonly relu: boolean
  readonly output: Quantization | undefined
}

function problemOf(
  op: string,
  x: Tensor,
  weight: Tensor,
  scale: Tensor,
  options: QuantizedLinearOptions,
): Problem & { readonly shapes: readonly [Value, Value] } {
  const [input, weights, scales] = [operand(op, x), operand(op, weight), operand(op, scale)]
  if (weights.dtype !== 'i8') throw new DTypeError(`${op}: the weight must be i8, not ${weights.dtype}`)
  expectShape(op, 'the weight scale', scales, [weights.shape[0] ?? 0])
  if (scales.dtype !== 'f32') throw new DTypeError(`${op}: the weight scale must be f32, not ${scales.dtype}`)
  const { bias, activation = 'none', output } = optionsOf(op, options)
  oneOf(op, 'the activation', activation, ['none', 'relu'])
  if (bias) {
    const offset = operand(op, bias)
    expectShape(op, 'the bias', offset, [weights.shape[0] as number])
    if (offset.dtype !== 'f32') throw new DTypeError(`${op}: the bias must be f32, not ${offset.dtype}`)
  }
  const given = input.dtype
  if (given !== 'f32' && given !== 'u8' && given !== 'i8')
    throw new DTypeError(`${op}: x must be f32, u8 or i8, not ${given}; cast it to f32 first`)
  const quantization = quantizationOf(op, 'input', options.input)
  if (given !== 'f32' && given !== quantization.dtype && options.input.dtype !== undefined)
    throw new DTypeError(`${op}: x is ${given}, but input.dtype says ${quantization.dtype}`)
  return {
    x: given === 'f32' ? rounded(x, quantization) : x,
    weight,
    weightScale: scale,
    input: quantization,
    bias,
    relu: activation === 'relu',
    output: output && quantizationOf(op, 'output', output),
    shapes: [input, weights],
  }
}

const operandsOf = ({ x, weight, weightScale, input, bias, output }: Problem): (Tensor | undefined)[] => [
  x,
  weight,
  input.scale,
  weightScale,
  input.zeroPoint,
  bias,
  output?.scale,
  output?.zeroPoint,
]

const extrasOf = ({ input, bias, relu: rectified, output }: Problem): Extras => ({
  hasInputZeroPoint: input.zeroPoint !== undefined,
  hasBias: bias !== undefined,
  relu: rectified,
  output: output?.dtype ?? 'f32',
  hasOutputZeroPoint: output?.zeroPoint !== undefined,
})

/**
 * Whether the device multiplies 8-bit integers without rounding or overflow in between: oneDNN with VNNI or AMX. Without
 * VNNI its kernels add pairs of products in 16 bits, which overflow (oneDNN's guide, "Nuances of int8 computations").
 */
const multipliesBytes = ({ node }: Value): boolean =>
  node.device?.kind === 'cpu' &&
  ['amx', 'avx512_fp16', 'avx512_bf16', 'avx512_vnni'].includes(node.device.instructionSet)

/** The same in f32 on other devices: exact while sums of products are below 2^24, then rounded as f32 rounds. */
function throughFloats(problem: Problem, product: (x: Tensor, w: Tensor) => Tensor, channels: number[]): Tensor {
  const { x, weight, weightScale, input, bias, output } = problem
  const zero = input.zeroPoint
  const steps = zero ? sub(cast(x, 'f32'), cast(zero, 'f32')) : cast(x, 'f32')
  const sums = autocast('f32', () => product(steps, cast(weight, 'f32')))
  const scaled = mul(sums, reshaped(mul(weightScale, input.scale), channels))
  const moved = bias ? add(scaled, reshaped(bias, channels)) : scaled
  const active = problem.relu ? relu(moved) : moved
  return output ? rounded(active, output) : active
}

/**
 * activation(x weight^T + bias) where x [...,K] and weight i8 [N,K] are integers: the real weights are `scale` (f32 [N])
 * times them, the real x is as `input` says. Sums are i32. -> f32 [...,N], or integers as `output` says. There is no
 * gradient. Throws `ShapeError`, `DTypeError`, `ArgumentError`.
 */
export function quantizedLinear(x: Tensor, weight: Tensor, scale: Tensor, options: QuantizedLinearOptions): Tensor {
  const op = 'quantizedLinear'
  const { shapes, ...problem } = problemOf(op, x, weight, scale, options)
  const [{ shape }, { shape: weights }] = shapes
  if (weights.length !== 2 || shape.length === 0 || shape.at(-1) !== weights[1])
    throw new ShapeError(
      `${op}: it takes x [...,K] and a weight [N,K], not x ${formatShape(shape)}, weight ${formatShape(weights)}`,
    )
  const [outputs, inner] = weights as readonly [number, number]
  const rows = sizeOf(shape.slice(0, -1))
  const flat = reshaped(problem.x, [rows, inner])
  const fast = multipliesBytes(shapes[1]) && rows > 0 && outputs > 0 && inner > 0
  const y = fast
    ? QUANTIZED_MATMUL(operandsOf({ ...problem, x: flat }), extrasOf(problem))
    : throughFloats({ ...problem, x: flat }, (a, b) => matmul(a, transpose(b)), [outputs])
  return reshaped(y, [...shape.slice(0, -1), outputs])
}

/**
 * activation(conv2d(x, weight) + bias) where x [N,C,H,W] and weight i8 [O,C/groups,KH,KW] are integers, `scale` f32 [O];
 * otherwise as `quantizedLinear`. Padding is real zeros. Strides, padding, dilation and groups as in `conv2d`.
 */
export function quantizedConv2d(x: Tensor, weight: Tensor, scale: Tensor, options: QuantizedConvOptions): Tensor {
  const op = 'quantizedConv2d'
  const { shapes, ...problem } = problemOf(op, x, weight, scale, options)
  const [{ shape }, { shape: weights }] = shapes
  const text = `x ${formatShape(shape)}, weight ${formatShape(weights)}`
  if (shape.length !== 4 || weights.length !== 4)
    throw new ShapeError(`${op}: it takes x [N,C,H,W] and a weight [O,C/groups,KH,KW], not ${text}`)
  const { groups = 1 } = options
  integerFrom(op, 'groups', groups, 1)
  const [outputs, perGroup, ...kernel] = weights as [number, number, ...number[]]
  if (shape[1] !== perGroup * groups || outputs % groups !== 0)
    throw new ShapeError(
      `${op}: with ${groups} groups, x must have ${perGroup * groups} channels and the outputs be a multiple of ${groups}: ${text}`,
    )
  if (kernel.some((extent) => extent === 0)) throw new ShapeError(`${op}: the kernel is empty: ${text}`)
  const window = slidingOver(op, shape, kernel, options)
  slidExtents(op, shape.slice(2), window)
  if (!multipliesBytes(shapes[1]) || sizeOf(shape) === 0 || sizeOf(weights) === 0) {
    const { stride = 1, padding = 0, dilation = 1 } = options
    return throughFloats(problem, (a, b) => conv2d(a, b, { stride, padding, dilation, groups }), [1, outputs, 1, 1])
  }
  const { stride, padding, dilation } = window
  return QUANTIZED_CONV(operandsOf(problem), { stride, padding, dilation, groups, ...extrasOf(problem) })
}
