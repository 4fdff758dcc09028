// Softmax and log-softmax over any axis; their kernels run over the last one.

import { ShapeError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import type { Shape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { floatOperand, optionsOf } from './arguments.js'
import { widened } from './autocast.js'
import { defineOp } from './define.js'
import { exp, mul, sub } from './element.js'
import { throughComposite } from './gradient.js'
import { permuted } from './linear.js'
import { sum } from './reduce.js'
import { axisOf } from './view.js'

const alongLast = (x: Tensor): Tensor => sum(x, { axes: -1, keepDims: true })

const SOFTMAX = defineOp('softmax', {
  inputs: ['x'],
  shape: ([x]) => x as Spec,
  grad: ({ y }, dy) => [SOFTMAX_GRAD([y, dy], {})],
})

/** y (dy - sum(y dy)). */
const SOFTMAX_GRAD = defineOp('softmaxGrad', {
  inputs: ['y', 'dy'],
  outputs: ['dx'],
  shape: ([y]) => y as Spec,
  grad: ({ y, dy }, cotangent) =>
    throughComposite(
      ([p, d]) => [mul(p as Tensor, sub(d as Tensor, alongLast(mul(p as Tensor, d as Tensor))))],
      [y, dy],
      [cotangent],
    ),
})

const LOG_SOFTMAX = defineOp('logSoftmax', {
  inputs: ['x'],
  shape: ([x]) => x as Spec,
  grad: ({ y }, dy) => [LOG_SOFTMAX_GRAD([y, dy], {})],
})

/** dy - exp(y) sum(dy). */
const LOG_SOFTMAX_GRAD = defineOp('logSoftmaxGrad', {
  inputs: ['y', 'dy'],
  outputs: ['dx'],
  shape: ([y]) => y as Spec,
  grad: ({ y, dy }, cotangent) =>
    throughComposite(
      ([p, d]) => [sub(d as Tensor, mul(exp(p as Tensor), alongLast(d as Tensor)))],
      [y, dy],
      [cotangent],
    ),
})

/** `x` with `axis` last, and the way back. */
export function withAxisLast(x: Tensor, axis: number): { last: Tensor; back(y: Tensor): Tensor } {
  const rank = x.shape.length
  if (axis === rank - 1) return { last: x, back: (y) => y }
  const order = [...x.shape.map((_, k) => k).filter((k) => k !== axis), axis]
  return {
    last: permuted(x, order),
    back: (y) =>
      permuted(
        y,
        x.shape.map((_, k) => order.indexOf(k)),
      ),
  }
}

function overAxis(name: string, kernel: (operands: readonly Tensor[], params: Record<never, never>) => Tensor) {
  return <D extends DType, S extends Shape>(
    x: Tensor<D, S>,
    options: { readonly axis?: number } = {},
  ): Tensor<D, S> => {
    const { shape } = floatOperand(name, x)
    if (shape.length === 0) throw new ShapeError(`${name}: a scalar has no axis to run along; reshape it to [1]`)
    const { last, back } = withAxisLast(x, axisOf(name, optionsOf(name, options).axis ?? -1, shape.length))
    return back(kernel([widened(name, last)], {})) as Tensor<D, S>
  }
}

/**
 * exp(x) / sum(exp(x)) along `axis` (default: the last), without overflow; of the shape of `x`. Throws `DTypeError` for
 * other than floats, `ShapeError` for a scalar or a missing axis.
 */
export const softmax = overAxis('softmax', SOFTMAX)

/** x - log(sum(exp(x))) along `axis` (default: the last), without overflow; of the shape of `x`. Errors as `softmax`. */
export const logSoftmax = overAxis('logSoftmax', LOG_SOFTMAX)
