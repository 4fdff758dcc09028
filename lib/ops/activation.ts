// Activations: composites of elementwise ops, which fuse with what is around them.
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { DType } from '../schema/dtype.js'
import { formatShape, type Shape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { floatOperand, numberIn, oneOf, optionsOf } from './arguments.js'
import { split } from './concat.js'
import { operand } from './define.js'
import {
  abs,
  add,
  div,
  erf,
  exp,
  expm1,
  ge,
  gt,
  le,
  log1p,
  lt,
  maximum,
  mul,
  neg,
  sigmoid,
  sub,
  tanh,
  where,
} from './element.js'
import { customGradient } from './gradient.js'
import { axisOf } from './view.js'

type Activation = <D extends DType, S extends Shape>(x: Tensor<D, S>) => Tensor<D, S>

/** An activation of floats. */
const activation =
  (name: string, rule: (x: Tensor) => Tensor): Activation =>
  (x) => {
    floatOperand(name, x)
    return rule(x) as never
  }

// By the result, not the operand, so that the operand need not be kept for the backward pass.
const RELU = customGradient(
  (x: Tensor) => where(le(x, 0), 0, x),
  (dy, _, y) => [where(le(y, 0), 0, dy)],
)

/** max(x, 0); its derivative at 0 is 0, NaN stays. Takes any numbers. */
export function relu<D extends DType, S extends Shape>(x: Tensor<D, S>): Tensor<D, S> {
  if (operand('relu', x).dtype === 'bool') throw new ArgumentError('relu: it takes numbers, not bool; cast it first')
  return RELU(x) as Tensor<D, S>
}

/** min(max(x, 0), 6); its derivative at 0 and at 6 is 0. */
export const relu6 = activation('relu6', (x) => where(ge(x, 6), 6, where(le(x, 0), 0, x)))

/** x where x > 0, else slope x. `slope` defaults to 0.01. */
export function leakyRelu<D extends DType, S extends Shape>(
  x: Tensor<D, S>,
  options: { readonly slope?: number } = {},
): Tensor<D, S> {
  const { slope = 0.01 } = optionsOf('leakyRelu', options)
  floatOperand('leakyRelu', x)
  numberIn('leakyRelu', 'slope', slope, Number.NEGATIVE_INFINITY)
  return where(gt(x, 0), x, mul(x, slope)) as Tensor<D, S>
}

/** x where x > 0, else alpha (e^x - 1) (Clevert et al. 2015). `alpha` defaults to 1. */
export function elu<D extends DType, S extends Shape>(
  x: Tensor<D, S>,
  options: { readonly alpha?: number } = {},
): Tensor<D, S> {
  const { alpha = 1 } = optionsOf('elu', options)
  floatOperand('elu', x)
  numberIn('elu', 'alpha', alpha, Number.NEGATIVE_INFINITY)
  const positive = gt(x, 0)
  // The exponential never sees what it would overflow on, nor does its derivative.
  return where(positive, x, mul(expm1(where(positive, 0, x)), alpha)) as Tensor<D, S>
}

/** The self-normalising scaled ELU (Klambauer et al. 2017). */
export const selu = activation('selu', (x) => mul(elu(x, { alpha: 1.6732632423543772 }), 1.0507009873554805))

export interface GeluOptions {
  /** `none`: by the error function (default). `tanh`: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), as GPT-2 has it. */
  readonly approximate?: 'none' | 'tanh'
}

/** x times the standard normal distribution function of x (Hendrycks and Gimpel 2016). */
export function gelu<D extends DType, S extends Shape>(x: Tensor<D, S>, options: GeluOptions = {}): Tensor<D, S> {
  const { approximate = 'none' } = optionsOf('gelu', options)
  floatOperand('gelu', x)
  oneOf('gelu', 'approximate', approximate, ['none', 'tanh'])
  return (approximate === 'none' ? GELU : GELU_TANH)(x) as Tensor<D, S>
}

/**
 * A smooth activation whose gradient is computed from `x` alone, so that nothing but `x` is kept for the backward pass.
 */
const fromInput = (f: (x: Tensor) => Tensor, derivative: (x: Tensor) => Tensor): ((x: Tensor) => Tensor) =>
  customGradient(f, (dy, [x]) => [mul(dy, derivative(x as Tensor))])

/** The normal distribution function, and its density. */
const normalCurve = (x: Tensor): Tensor => mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5)
const normalDensity = (x: Tensor): Tensor => mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI))

const GELU = fromInput(
  (x) => mul(x, normalCurve(x)),
  (x) => add(normalCurve(x), mul(x, normalDensity(x))),
)

const CUBIC = 0.044715
const SCALE = Math.sqrt(2 / Math.PI)
/** The tanh of the approximation: tanh(sqrt(2 / pi) (x + 0.044715 x^3)). */
const gate = (x: Tensor): Tensor => tanh(mul(mul(x, add(mul(mul(x, x), CUBIC), 1)), SCALE))

const GELU_TANH = fromInput(
  (x) => mul(mul(x, 0.5), add(gate(x), 1)),
  (x) => {
    const t = gate(x)
    const slope = mul(add(mul(mul(x, x), 3 * CUBIC), 1), SCALE)
    return mul(add(add(t, 1), mul(x, mul(sub(1, mul(t, t)), slope))), 0.5)
  },
)

/** x sigmoid(x), also called swish (Elfwing et al. 2017). */
export const silu = activation(
  'silu',
  fromInput(
    (x) => mul(x, sigmoid(x)),
    (x) => mul(sigmoid(x), add(mul(x, sub(1, sigmoid(x))), 1)),
  ),
)

const SOFTPLUS = customGradient(
  (x: Tensor) => add(log1p(exp(neg(abs(x)))), maximum(x, 0)),
  (dy, [x]) => [mul(dy, sigmoid(x as Tensor))],
)

/** log(1 + e^(beta x)) / beta, without overflow. `beta` (above 0) defaults to 1. */
export function softplus<D extends DType, S extends Shape>(
  x: Tensor<D, S>,
  options: { readonly beta?: number } = {},
): Tensor<D, S> {
  const { beta = 1 } = optionsOf('softplus', options)
  floatOperand('softplus', x)
  numberIn('softplus', 'beta', beta, Number.MIN_VALUE)
  return mul(SOFTPLUS(mul(x, beta)), 1 / beta) as Tensor<D, S>
}

/** x tanh(softplus(x)) (Misra 2019). */
export const mish = activation('mish', (x) => mul(x, tanh(SOFTPLUS(x))))

/** log(sigmoid(x)), without overflow. */
export const logSigmoid = activation('logSigmoid', (x) => neg(SOFTPLUS(neg(x))))

/** x relu6(x + 3) / 6 (Howard et al. 2019). */
export const hardswish = activation('hardswish', (x) =>
  where(le(x, -3), 0, where(ge(x, 3), x, mul(x, mul(add(x, 3), 1 / 6)))),
)

/** relu6(x + 3) / 6. */
export const hardsigmoid = activation('hardsigmoid', (x) =>
  where(le(x, -3), 0, where(ge(x, 3), 1, mul(add(x, 3), 1 / 6))),
)

/** x / (1 + |x|). */
export const softsign = activation('softsign', (x) => div(x, add(abs(x), 1)))

/** `x` limited to [low, high]; outside its derivative is 0, NaN stays. Throws `ArgumentError` unless low <= high. */
export function clamp<D extends DType, S extends Shape>(x: Tensor<D, S>, low: number, high: number): Tensor<D, S> {
  operand('clamp', x)
  if (!(typeof low === 'number' && typeof high === 'number' && low <= high)) {
    const [first, second] = [low, high].map((limit) => (typeof limit === 'number' ? limit : describe(limit)))
    throw new ArgumentError(`clamp: low must be at most high, not ${first} and ${second}`)
  }
  return where(lt(x, low), low, where(gt(x, high), high, x)) as Tensor<D, S>
}

/**
 * The first half of `x` along `axis` (default: the last) times the sigmoid of the second (Dauphin et al. 2016). Throws
 * `ShapeError` for an odd extent.
 */
export function glu<D extends DType>(x: Tensor<D>, options: { readonly axis?: number } = {}): Tensor<D> {
  const { shape } = floatOperand('glu', x)
  const axis = axisOf('glu', optionsOf('glu', options).axis ?? -1, shape.length)
  const extent = shape[axis] as number
  if (extent % 2 !== 0)
    throw new ShapeError(`glu: the extent ${extent} of ${formatShape(shape)} along axis ${axis} is odd`)
  if (extent === 0) return x
  const [value, gate] = split(x, extent / 2, axis) as [Tensor<D>, Tensor<D>]
  return mul(value, sigmoid(gate)) as Tensor<D>
}
