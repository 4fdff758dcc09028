// Views: other windows on the same memory, checked; reshape, permute, broadcast, slice and what is made of them.
import { apply } from '../graph/node.js'
import type { Op } from '../graph/op.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { broadcastShapes, formatShape, type Shape, sameShape, sizeOf } from '../schema/shape.js'
import { checkShape, Tensor } from '../tensor.js'
import { listOf } from './arguments.js'
import { operand } from './define.js'
import { permuted, repeated, reshaped, sliced } from './linear.js'

/** The axis counted from the front. Throws `ShapeError` where there is none. */
export function axisOf(op: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new ShapeError(
      `${op}: there is no axis ${typeof axis === 'number' ? axis : describe(axis)}; the tensor has ${rank} axes, so -${rank} to ${rank - 1} exist`,
    )
  }
  return axis < 0 ? axis + rank : axis
}

/** The same elements under another shape; one extent may be -1 and is worked out. */
export function reshape<D extends DType>(x: Tensor<D>, shape: Shape): Tensor<D> {
  const value = operand('reshape', x)
  const wanted = inferExtent(value.shape, shape)
  checkShape('reshape', wanted)
  if (sizeOf(wanted) !== sizeOf(value.shape)) {
    throw new ShapeError(
      `reshape: ${formatShape(value.shape)} has ${sizeOf(value.shape)} elements, ${formatShape(shape)} takes ${sizeOf(wanted)}`,
    )
  }
  return reshaped(x, wanted)
}

function inferExtent(from: Shape, to: Shape): number[] {
  if (!Array.isArray(to)) throw new ShapeError(`reshape: the shape must be a list of extents, not ${describe(to)}`)
  const open = to.indexOf(-1)
  if (open < 0) return [...to]
  const rest = sizeOf(to.filter((_, axis) => axis !== open))
  const size = sizeOf(from)
  if (to.indexOf(-1, open + 1) >= 0 || rest === 0 || size % rest !== 0) {
    throw new ShapeError(`reshape: the extent -1 of ${formatShape(to)} can not be worked out for ${formatShape(from)}`)
  }
  return to.map((extent, axis) => (axis === open ? size / rest : extent))
}

/** The axes in another order: axis `axes[i]` of `x` becomes axis i. Without `axes`, all reversed. */
export function permute<D extends DType>(x: Tensor<D>, axes?: readonly number[]): Tensor<D> {
  const value = operand('permute', x)
  const rank = value.shape.length
  if (axes !== undefined) listOf('permute', 'the axes', axes)
  const order = (axes ?? value.shape.map((_, axis) => rank - 1 - axis)).map((axis) => axisOf('permute', axis, rank))
  if (order.length !== rank || new Set(order).size !== rank) {
    throw new ShapeError(
      `permute: [${axes}] does not name each of the ${rank} axes of ${formatShape(value.shape)} once`,
    )
  }
  return permuted(x, order)
}

/** Exchanges two axes; by default the last two. */
export function transpose<D extends DType>(x: Tensor<D>, a = -2, b = -1): Tensor<D> {
  const rank = operand('transpose', x).shape.length
  const [first, second] = [axisOf('transpose', a, rank), axisOf('transpose', b, rank)]
  return permute(
    x,
    x.shape.map((_, axis) => (axis === first ? second : axis === second ? first : axis)),
  )
}

/** Repeats `x` along new or unit axes until it has `shape` (NumPy's rule). */
export function broadcastTo<D extends DType>(x: Tensor<D>, shape: Shape): Tensor<D> {
  const value = operand('broadcastTo', x)
  checkShape('broadcastTo', shape)
  const joined = broadcastShapes(value.shape, shape)
  if (!joined || !sameShape(joined, shape)) {
    throw new ShapeError(`broadcastTo: ${formatShape(value.shape)} can not be repeated to ${formatShape(shape)}`)
  }
  return repeated(x, shape)
}

/** Where a slice begins and ends along one axis (`end` exclusive, negatives count from the end), and its step. */
export type Range = readonly [start?: number | undefined, end?: number | undefined, step?: number]

/**
 * A part of `x`: for each axis an index (which removes the axis), a `Range`, or `undefined` for all of it. As in Python,
 * ranges are clamped to the axis and a negative step runs backwards; an index must exist.
 */
export function slice<D extends DType>(x: Tensor<D>, ...parts: readonly (number | Range | undefined)[]): Tensor<D> {
  const value = operand('slice', x)
  const { shape } = value
  if (parts.length > shape.length) {
    throw new ShapeError(
      `slice: ${parts.length} parts were given for the ${shape.length} axes of ${formatShape(shape)}`,
    )
  }
  const walks = shape.map((extent, axis) => walkOf(parts[axis], extent, axis))
  const window = {
    starts: walks.map(({ start }) => start),
    steps: walks.map(({ step }) => step),
    shape: walks.map(({ count }) => count),
  }
  return reshape(
    sliced(x, window),
    window.shape.filter((_, axis) => typeof parts[axis] !== 'number'),
  )
}

function walkOf(
  part: number | Range | undefined,
  extent: number,
  axis: number,
): { start: number; step: number; count: number } {
  if (part === undefined) return { start: 0, step: 1, count: extent }
  if (typeof part === 'number') {
    if (!Number.isInteger(part) || part < -extent || part >= extent) {
      throw new ShapeError(`slice: there is no index ${part} along axis ${axis} of extent ${extent}`)
    }
    return { start: part < 0 ? part + extent : part, step: 1, count: 1 }
  }
  if (!Array.isArray(part))
    throw new ArgumentError(`slice: a part is ${describe(part)}, not an index or [start, end, step]`)
  const [, , step = 1] = part as Range
  if (!Number.isInteger(step) || step === 0)
    throw new ArgumentError(`slice: the step ${step} is no integer other than 0`)
  const [low, high] = step > 0 ? [0, extent] : [-1, extent - 1]
  const clamp = (position: number | undefined, otherwise: number): number => {
    if (position === undefined) return otherwise
    if (!Number.isInteger(position)) throw new ArgumentError(`slice: the position ${position} is no integer`)
    return Math.min(high, Math.max(low, position < 0 ? position + extent : position))
  }
  const start = clamp(part[0], step > 0 ? 0 : extent - 1)
  const end = clamp(part[1], step > 0 ? extent : -1)
  return { start: Math.max(0, start), step, count: Math.max(0, Math.ceil((end - start) / step)) }
}

/** Reverses the order of the elements along `axes`. */
export function flip<D extends DType>(x: Tensor<D>, axes: number | readonly number[]): Tensor<D> {
  const rank = operand('flip', x).shape.length
  const flipped = (typeof axes === 'number' ? [axes] : listOf('flip', 'the axes', axes)).map((axis) =>
    axisOf('flip', axis, rank),
  )
  if (flipped.length === 0) return x
  return slice(
    x,
    ...x.shape.map((_, axis): Range | undefined => (flipped.includes(axis) ? [undefined, undefined, -1] : undefined)),
  )
}

/** Without the axes of extent 1: all of them, or those named. */
export function squeeze<D extends DType>(x: Tensor<D>, ...axes: readonly number[]): Tensor<D> {
  const { shape } = operand('squeeze', x)
  const named = axes.map((axis) => axisOf('squeeze', axis, shape.length))
  for (const axis of named) {
    if (shape[axis] !== 1)
      throw new ShapeError(`squeeze: axis ${axis} of ${formatShape(shape)} has extent ${shape[axis]}, not 1`)
  }
  const gone = (axis: number): boolean => (axes.length === 0 ? shape[axis] === 1 : named.includes(axis))
  return reshape(
    x,
    shape.filter((_, axis) => !gone(axis)),
  )
}

/** With an axis of extent 1 more, at `axis`. */
export function unsqueeze<D extends DType>(x: Tensor<D>, axis: number): Tensor<D> {
  const { shape } = operand('unsqueeze', x)
  const position = axisOf('unsqueeze', axis, shape.length + 1)
  return reshape(x, [...shape.slice(0, position), 1, ...shape.slice(position)])
}

/** The axes from `start` to `end` (both included) as one. */
export function flatten<D extends DType>(x: Tensor<D>, start = 0, end = -1): Tensor<D> {
  const { shape } = operand('flatten', x)
  if (shape.length === 0) return reshape(x, [1])
  const [first, last] = [axisOf('flatten', start, shape.length), axisOf('flatten', end, shape.length)]
  return reshape(x, [...shape.slice(0, first), sizeOf(shape.slice(first, last + 1)), ...shape.slice(last + 1)])
}

/** The same values, through which no gradient flows. */
export function stopGradient<D extends DType, S extends Shape>(x: Tensor<D, S>): Tensor<D, S> {
  const value = operand('stopGradient', x)
  return new Tensor(apply(STOP, {}, [value]).output)
}

const STOP: Op = {
  name: 'stopGradient',
  kind: 'view',
  params: {},
  infer: ([input]) => [input as Spec],
  view: (_, layout) => layout,
  gradient: undefined,
}
