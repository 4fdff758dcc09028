// Initial values of parameters, drawn from the default generator unless another is given.

import { isDeferred } from '../cell.js'
import { numberIn } from '../ops/arguments.js'
import { zeros } from '../ops/create.js'
import { type RandomOptions, randomNormal, randomUniform } from '../ops/random.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'

export { full as constant, ones, zeros } from '../ops/create.js'

/**
 * How many inputs and outputs a unit has: of a weight [out, in, ...kernel], in times the kernel's size and out times it.
 * Throws `ShapeError` for fewer than two axes.
 */
export function fans(shape: Shape): { readonly fanIn: number; readonly fanOut: number } {
  if (shape.length < 2)
    throw new ShapeError(`initialize: a weight [out, in, ...] is needed for its fans, not ${formatShape(shape)}`)
  const [out, inputs, ...kernel] = shape as [number, number, ...number[]]
  return { fanIn: inputs * sizeOf(kernel), fanOut: out * sizeOf(kernel) }
}

export type Nonlinearity = 'linear' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu'

/** By how much a nonlinearity shrinks the standard deviation; `slope` is that of leakyRelu. */
export function gain(nonlinearity: Nonlinearity, slope = 0.01): number {
  switch (nonlinearity) {
    case 'linear':
    case 'sigmoid':
      return 1
    case 'tanh':
      return 5 / 3
    case 'relu':
      return Math.SQRT2
    case 'leakyRelu':
      return Math.sqrt(2 / (1 + slope * slope))
    case 'selu':
      return 3 / 4
    default:
      throw new ArgumentError(`initialize: there is no gain for '${String(nonlinearity)}'`)
  }
}

/** Draws as asked; nothing where cells are made without memory, whose contents come from elsewhere. */
const unlessDeferred =
  <O extends RandomOptions>(draw: (shape: Shape, options?: O) => Tensor) =>
  (shape: Shape, options?: O): Tensor =>
    isDeferred() ? zeros(shape, { dtype: options?.dtype ?? 'f32' }) : draw(shape, options)

/** Uniform in [low, high) (default [0, 1)), as `randomUniform`, whose options it takes. */
export const uniform = unlessDeferred(randomUniform)
/** Normal with `mean` (default 0) and `std` (default 1), as `randomNormal`, whose options it takes. */
export const normal = unlessDeferred(randomNormal)

export interface KaimingOptions extends RandomOptions {
  /** Keep the variance of activations (`fanIn`, default) or of gradients (`fanOut`). */
  readonly mode?: 'fanIn' | 'fanOut'
  /** What follows the layer. Default `leakyRelu`. */
  readonly nonlinearity?: Nonlinearity
  /** The slope of leakyRelu. Default 0. */
  readonly slope?: number
}

function kaimingStd(shape: Shape, { mode = 'fanIn', nonlinearity = 'leakyRelu', slope = 0 }: KaimingOptions): number {
  const fan = fans(shape)[mode]
  if (fan === undefined) throw new ArgumentError(`initialize: the mode is 'fanIn' or 'fanOut', not '${String(mode)}'`)
  return gain(nonlinearity, slope) / Math.sqrt(Math.max(1, fan))
}

const symmetric = (shape: Shape, bound: number, options: RandomOptions): Tensor =>
  uniform(shape, { ...options, low: -bound, high: bound })

/** Uniform with the standard deviation gain / sqrt(fan) (He et al. 2015). */
export const kaimingUniform = (shape: Shape, options: KaimingOptions = {}): Tensor =>
  symmetric(shape, Math.sqrt(3) * kaimingStd(shape, options), options)

/** Normal with the standard deviation gain / sqrt(fan) (He et al. 2015). */
export const kaimingNormal = (shape: Shape, options: KaimingOptions = {}): Tensor =>
  normal(shape, { ...options, std: kaimingStd(shape, options) })

export interface XavierOptions extends RandomOptions {
  /** Factor of the standard deviation. Default 1. */
  readonly gain?: number
}

function xavierStd(shape: Shape, options: XavierOptions): number {
  const { fanIn, fanOut } = fans(shape)
  return numberIn('initialize', 'gain', options.gain ?? 1, 0) * Math.sqrt(2 / Math.max(1, fanIn + fanOut))
}

/** Uniform with the standard deviation gain sqrt(2 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export const xavierUniform = (shape: Shape, options: XavierOptions = {}): Tensor =>
  symmetric(shape, Math.sqrt(3) * xavierStd(shape, options), options)

/** Normal with the standard deviation gain sqrt(2 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export const xavierNormal = (shape: Shape, options: XavierOptions = {}): Tensor =>
  normal(shape, { ...options, std: xavierStd(shape, options) })

/** Uniform in [-1/sqrt(fan), 1/sqrt(fan)): what linear and convolution layers start with, weights and biases. */
export const uniformByFan = (shape: Shape, fan: number, options: RandomOptions = {}): Tensor =>
  symmetric(shape, 1 / Math.sqrt(Math.max(1, fan)), options)
