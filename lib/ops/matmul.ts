// Matrix multiplication: batched, broadcast over leading axes, with an optional bias and activation.
import { DTypeError, ShapeError } from '../runtime/errors.js'
import { type DType, promote } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { broadcastShapes, formatShape, type Shape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { narrowed } from './autocast.js'
import { defineOp } from './define.js'
import { cast } from './element.js'
import { permuted, reshaped, sumTo } from './linear.js'

/** What a kernel may apply to its result before it stores it. */
export const ACTIVATIONS = ['none', 'relu', 'gelu', 'geluTanh', 'sigmoid', 'tanh', 'silu'] as const

const batchOf = (shape: Shape): Shape => shape.slice(0, -2)

const swapped = (x: Tensor): Tensor => {
  const rank = x.shape.length
  return permuted(
    x,
    x.shape.map((_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis)),
  )
}

/** [..., M, K] @ [..., K, N] -> [..., M, N], both of rank 2 or more and of one dtype; bias [N] last where there is one. */
const MATMUL = defineOp('matmul', {
  inputs: ['a', 'b', 'bias'],
  params: { hasBias: 'bool', activation: ACTIVATIONS },
  strides: ['matrix', 'matrix', 'contiguous'],
  shape: ([a, b]) => {
    const [left, right] = [(a as Spec).shape, (b as Spec).shape]
    const batch = broadcastShapes(batchOf(left), batchOf(right))
    if (left.at(-1) !== right.at(-2)) {
      throw new ShapeError(`matmul: inner dimensions differ: ${formatShape(left)} x ${formatShape(right)}`)
    }
    if (!batch)
      throw new ShapeError(`matmul: batch axes do not broadcast: ${formatShape(left)} x ${formatShape(right)}`)
    return { dtype: (a as Spec).dtype, shape: [...batch, left.at(-2) as number, right.at(-1) as number] }
  },
  grad: ({ a, b, bias }, dy, { hasBias }) => [
    sumTo(product(dy, swapped(b)), a.shape),
    rightGradient(a, b, dy),
    hasBias ? sumTo(dy, bias.shape) : undefined,
  ],
})

const product = (a: Tensor, b: Tensor): Tensor => MATMUL([a, b], { hasBias: false, activation: 'none' })

/** The gradient of `b`. Where `b` is one matrix for the whole batch, the batch is rows of one long product. */
function rightGradient(a: Tensor, b: Tensor, dy: Tensor): Tensor {
  if (b.shape.length > 2 || a.shape.length === 2) return sumTo(product(swapped(a), dy), b.shape)
  const rows = (x: Tensor): Tensor =>
    reshaped(x, [
      batchOf(x.shape).reduce((n, extent) => n * extent, 1) * (x.shape.at(-2) as number),
      x.shape.at(-1) as number,
    ])
  return product(swapped(rows(a)), rows(dy))
}

/** Dot product over the last axis of `a` and the first-but-one of `b` for vectors and matrices of any rank. */
type MatmulShape<A extends Shape, B extends Shape> = A extends readonly [infer M extends number, number]
  ? B extends readonly [number, infer N extends number]
    ? readonly [M, N]
    : Shape
  : Shape

/**
 * The matrix product. Vectors are rows on the left and columns on the right, and lose that axis again; leading axes
 * broadcast. Throws `ShapeError` where inner dimensions differ and `DTypeError` for bool.
 */
export function matmul<D extends DType, A extends Shape, B extends Shape>(
  a: Tensor<D, A>,
  b: Tensor<DType, B>,
): Tensor<D, MatmulShape<A, B>> {
  const [left, right] = [narrowed('matmul', a), narrowed('matmul', b)]
  if (left.shape.length === 0 || right.shape.length === 0) {
    throw new ShapeError(
      `matmul: scalars can not be multiplied as matrices: ${formatShape(left.shape)} x ${formatShape(right.shape)}`,
    )
  }
  const dtype = promote(left.dtype, right.dtype)
  if (dtype === 'bool') throw new DTypeError('matmul: it takes numbers, not bool; cast first')
  const x = left.shape.length === 1 ? reshaped(cast(left, dtype), [1, left.shape[0] as number]) : cast(left, dtype)
  const y = right.shape.length === 1 ? reshaped(cast(right, dtype), [right.shape[0] as number, 1]) : cast(right, dtype)
  const inner = [left.shape.at(-1), right.shape.length === 1 ? right.shape[0] : right.shape.at(-2)]
  if (inner[0] !== inner[1]) {
    throw new ShapeError(`matmul: inner dimensions differ: ${formatShape(left.shape)} x ${formatShape(right.shape)}`)
  }
  const full = product(x, y)
  const gone = [
    ...(left.shape.length === 1 ? [full.shape.length - 2] : []),
    ...(right.shape.length === 1 ? [full.shape.length - 1] : []),
  ]
  return reshaped(
    full,
    full.shape.filter((_, axis) => !gone.includes(axis)),
  ) as never
}
