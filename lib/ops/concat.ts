// Concatenation and its reverse: concat, stack, split. The gradient of each is another of them.
import { withGradient } from '../graph/identity.js'
import { constantLeaf, type Value } from '../graph/node.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { type DType, promote } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, type Shape } from '../schema/shape.js'
import { Tensor } from '../tensor.js'
import { listOf, optionsOf } from './arguments.js'
import { defineOp, operand } from './define.js'
import { cast } from './element.js'
import { axisOf, type Range, slice, unsqueeze } from './view.js'

const CONCAT = defineOp('concat', {
  inputs: ['x'],
  params: { axis: 'i64' },
  strides: ['any'],
  shape: (parts, { axis }) => {
    const { dtype, shape } = parts[0] as Spec
    const extent = parts.reduce((sum, part) => sum + (part.shape[axis] as number), 0)
    return { dtype, shape: shape.map((own, k) => (k === axis ? extent : own)) }
  },
  grad: (_, dy, { axis }, __, parts) =>
    split(
      dy,
      parts.map(({ shape }) => shape[axis] as number),
      axis,
    ),
})

function checkParts(op: string, parts: readonly Tensor[]): Value[] {
  if (!Array.isArray(parts) || parts.length === 0) {
    throw new ArgumentError(
      `${op}: it takes a list of one or more tensors, not ${Array.isArray(parts) ? 'an empty one' : describe(parts)}`,
    )
  }
  return parts.map((part) => operand(op, part))
}

/**
 * The tensors one behind the other along `axis` (default 0), in the dtype they promote to. Throws `ShapeError` where
 * their other extents differ, `ArgumentError` for an empty list.
 */
export function concat<D extends DType>(
  parts: readonly Tensor<D>[],
  options: { readonly axis?: number } = {},
): Tensor<D> {
  const values = checkParts('concat', parts)
  const [first] = values as [Value]
  if (first.shape.length === 0) throw new ShapeError('concat: scalars have no axis to be joined along; use stack')
  const axis = axisOf('concat', optionsOf('concat', options).axis ?? 0, first.shape.length)
  for (const { shape } of values) {
    if (shape.length === first.shape.length && shape.every((extent, k) => k === axis || extent === first.shape[k]))
      continue
    throw new ShapeError(
      `concat: ${formatShape(first.shape)} and ${formatShape(shape)} differ in more than axis ${axis}`,
    )
  }
  if (parts.length === 1) return parts[0] as Tensor<D>
  const dtype = values.map((value) => value.dtype).reduce(promote)
  return CONCAT(
    parts.map((part) => cast(part, dtype)),
    { axis },
  ) as Tensor<D>
}

/** The tensors, all of one shape, along a new axis (default: the first). Throws `ShapeError` where the shapes differ. */
export function stack<D extends DType>(
  parts: readonly Tensor<D>[],
  options: { readonly axis?: number } = {},
): Tensor<D> {
  const values = checkParts('stack', parts)
  const [first] = values as [Value]
  for (const { shape } of values) {
    if (formatShape(shape) === formatShape(first.shape)) continue
    throw new ShapeError(
      `stack: the tensors must have one shape, not ${formatShape(first.shape)} and ${formatShape(shape)}`,
    )
  }
  const axis = axisOf('stack', optionsOf('stack', options).axis ?? 0, first.shape.length + 1)
  return concat(
    parts.map((part) => unsqueeze(part, axis)),
    { axis },
  )
}

/**
 * `x` in pieces along an axis: of `size` each (the last may be smaller), or of the given sizes. The pieces are views;
 * their gradients are joined by one `concat`.
 */
export function split<D extends DType>(x: Tensor<D>, size: number | readonly number[], axis = 0): Tensor<D>[] {
  const value = operand('split', x)
  const { shape } = value
  const along = axisOf('split', axis, shape.length)
  const pieces = cut(x, sizesOf(shape, size, along), along)
  if (pieces.length === 1) return pieces
  const outputs = withGradient(
    pieces.map((piece) => piece.value),
    [value],
    (_, cotangents) => [
      concat(
        pieces.map(
          (piece, i) => new Tensor(cotangents[i] ?? constantLeaf(0, { dtype: piece.dtype, shape: piece.shape })),
        ),
        { axis: along },
      ).value,
    ],
  )
  return outputs.map((output) => new Tensor<D>(output))
}

function sizesOf(shape: Shape, size: number | readonly number[], axis: number): readonly number[] {
  const extent = shape[axis] as number
  if (typeof size === 'number') {
    if (!(Number.isInteger(size) && size > 0)) throw new ArgumentError(`split: the size ${size} is no integer above 0`)
    return Array.from({ length: Math.ceil(extent / size) }, (_, i) => Math.min(size, extent - i * size))
  }
  const whole = listOf('split', 'the sizes', size).every((part) => Number.isInteger(part) && part >= 0)
  if (!whole || size.reduce((total, part) => total + part, 0) !== extent) {
    throw new ShapeError(`split: pieces of [${size}] do not make up axis ${axis} of ${formatShape(shape)}`)
  }
  return size
}

function cut<D extends DType>(x: Tensor<D>, sizes: readonly number[], axis: number): Tensor<D>[] {
  let start = 0
  return sizes.map((size) => {
    const from = start
    start += size
    return slice(x, ...x.shape.map((_, k): Range | undefined => (k === axis ? [from, from + size] : undefined)))
  })
}
