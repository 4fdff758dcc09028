// Tensors made from nothing: filled with one number, or counting.
import { identityOf } from '../graph/identity.js'
import { constantLeaf } from '../graph/node.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { type DType, isFloat } from '../schema/dtype.js'
import type { Shape } from '../schema/shape.js'
import { checkDType, checkShape, Tensor } from '../tensor.js'
import { numberIn, optionsOf } from './arguments.js'
import { operand } from './define.js'
import { cast, eq, iota } from './element.js'
import { unsqueeze } from './view.js'

// What is asked for decides the dtype, never the variable it is put in: results are `Tensor<NoInfer<D>>`.
export interface CreateOptions<D extends DType> {
  /** Default f32. */
  readonly dtype?: D
}

function dtypeOf(op: string, options: CreateOptions<DType>, otherwise: DType): DType {
  const { dtype } = optionsOf(op, options)
  if (dtype === undefined) return otherwise
  checkDType(op, dtype)
  return dtype
}

/** Floats as a value of their own: a gradient may be asked for one of two that are equal. Integers have none. */
const own = (x: Tensor): Tensor => (isFloat(x.dtype) ? new Tensor(identityOf(operand('own', x))) : x)

/** `value` everywhere; it takes no memory until it must. Throws `ShapeError`, `DTypeError`. */
export function full<D extends DType = 'f32'>(
  shape: Shape,
  value: number,
  options: CreateOptions<D> = {},
): Tensor<NoInfer<D>> {
  checkShape('full', shape)
  if (typeof value !== 'number') throw new ArgumentError(`full: the value must be a number, not ${describe(value)}`)
  const dtype = dtypeOf('full', options, 'f32')
  // Through a cast where a number is no value of the dtype by itself.
  const exact = dtype === 'f32' || dtype === 'f64' || Number.isInteger(value)
  const whole = dtype === 'bool' ? Number(value !== 0) : value
  const rounded = dtype === 'f32' || !exact ? Math.fround(whole) : whole
  // A value of its own: gradients may be asked for one of two that are equal.
  const filled = new Tensor(constantLeaf(rounded, { dtype: exact ? dtype : 'f32', shape: [...shape] }))
  return cast(filled, dtype) as Tensor<D>
}

/** 0 everywhere. */
export const zeros = <D extends DType = 'f32'>(shape: Shape, options: CreateOptions<D> = {}): Tensor<NoInfer<D>> =>
  full(shape, 0, options)
/** 1 everywhere. */
export const ones = <D extends DType = 'f32'>(shape: Shape, options: CreateOptions<D> = {}): Tensor<NoInfer<D>> =>
  full(shape, 1, options)

/** 0 everywhere, in the shape and dtype of `x`. */
export function zerosLike<D extends DType, S extends Shape>(x: Tensor<D, S>): Tensor<D, S> {
  const { shape, dtype } = operand('zerosLike', x)
  return full(shape, 0, { dtype }) as Tensor<D, S>
}

/** 1 everywhere, in the shape and dtype of `x`. */
export function onesLike<D extends DType, S extends Shape>(x: Tensor<D, S>): Tensor<D, S> {
  const { shape, dtype } = operand('onesLike', x)
  return full(shape, 1, { dtype }) as Tensor<D, S>
}

/**
 * start, start + step, ... up to but not including end; with one argument, 0 to it. i32 by default, f32 where one of
 * them is no integer. Throws `ArgumentError` for a step of 0 or what is no number.
 */
export function arange<D extends DType = 'i32'>(
  start: number,
  end?: number,
  step = 1,
  options: CreateOptions<D> = {},
): Tensor<NoInfer<D>> {
  const [from, to] = end === undefined ? [0, start] : [start, end]
  for (const [name, value] of Object.entries({ start: from, end: to, step }))
    numberIn('arange', name, value, Number.NEGATIVE_INFINITY)
  if (step === 0) throw new ArgumentError('arange: the step must not be 0')
  const integers = [from, to, step].every(Number.isInteger)
  const dtype = dtypeOf('arange', options, integers ? 'i32' : 'f32')
  const count = Math.max(0, Math.ceil((to - from) / step))
  return own(iota([count], dtype, from, step)) as Tensor<D>
}

/** 1 on the diagonal of an n by n matrix, 0 elsewhere. Throws `ShapeError`, `DTypeError`. */
export function eye<D extends DType = 'f32'>(n: number, options: CreateOptions<D> = {}): Tensor<NoInfer<D>> {
  checkShape('eye', [n, n])
  return own(cast(eq(unsqueeze(iota([n], 'i32'), 1), iota([n], 'i32')), dtypeOf('eye', options, 'f32'))) as Tensor<D>
}
