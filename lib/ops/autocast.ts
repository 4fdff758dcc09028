// Mixed precision: which ops compute in 16 bits, and which in f32, while `autocast` holds.
import { currentPrecision, withPrecision } from '../graph/precision.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { type DType, isFloat } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { oneOf } from './arguments.js'
import { operand } from './define.js'
import { cast } from './element.js'

/** What products may be computed in; `f32` switches an outer `autocast` off. */
export type Precision = 'bf16' | 'f16' | 'f32'
const PRECISIONS: readonly Precision[] = ['bf16', 'f16', 'f32']

/**
 * Runs `fn`, which records a model, in mixed precision (Micikevicius et al. 2017): matmul, convolutions, attention and
 * linearCrossEntropy take their f32 operands in `precision` and give it, with sums in f32; softmax, logSoftmax, sums,
 * means and products of elements take 16-bit operands in f32 and give that; losses and the statistics of norms are f32
 * anyway; everything else promotes. Parameters stay what they are, and so do their gradients: differentiate outside or
 * inside, the rules follow what was recorded. f64 is left alone. Types say the dtype an op gives without this.
 *
 * @example const loss = autocast('bf16', () => crossEntropy(model.forward(x), y))
 *
 * Throws `ArgumentError` for another precision and for a function that gives a promise: what it would record later
 * would not be in mixed precision.
 */
export function autocast<T>(precision: Precision, fn: () => T): T {
  oneOf('autocast', 'the precision', precision, PRECISIONS)
  if (typeof fn !== 'function') throw new ArgumentError(`autocast: expected a function, got ${describe(fn)}`)
  const result = withPrecision(precision === 'f32' ? undefined : precision, fn)
  if (result instanceof Promise) {
    throw new ArgumentError('autocast: the function is async; wrap what it records, and await outside')
  }
  return result
}

const lowers = (dtype: DType): boolean => isFloat(dtype) && dtype !== 'f64'

/** The operand of a product as the policy wants it; as it is where there is none. */
export function narrowed(op: string, x: Tensor): Tensor {
  const { dtype } = operand(op, x)
  const precision = currentPrecision()
  return precision && lowers(dtype) ? cast(x, precision) : x
}

/** The operand of what is computed and given in f32 under a policy. */
export function widened(op: string, x: Tensor): Tensor {
  const { dtype } = operand(op, x)
  return currentPrecision() && lowers(dtype) ? cast(x, 'f32') : x
}

/** A weight that must have the dtype of `x`: it follows under a policy; without one that is the caller's to see to. */
export function following(op: string, weight: Tensor | undefined, x: Tensor): Tensor | undefined {
  if (!weight || !currentPrecision()) return weight
  const { dtype } = operand(op, x)
  return lowers(dtype) && lowers(operand(op, weight).dtype) ? cast(weight, dtype) : weight
}
