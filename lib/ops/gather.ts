// Selection by index: rows (take, embedding), elements (gather), their transposes, and the index of an extreme.
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import { checkDType, type Tensor } from '../tensor.js'
import { expectShape, indexOperand, integerFrom, optionsOf, sameDType } from './arguments.js'
import { defineOp, operand } from './define.js'
import { cast, constant, eq, iota, where } from './element.js'
import { permuted, reshaped } from './linear.js'
import { axisOf, stopGradient, unsqueeze } from './view.js'

/** x [V,...], indices [...] -> indices.shape + x.shape[1:]. */
const TAKE = defineOp('take', {
  inputs: ['x', 'indices'],
  shape: ([x, indices]) => ({
    dtype: (x as Spec).dtype,
    shape: [...(indices as Spec).shape, ...(x as Spec).shape.slice(1)],
  }),
  checks: ([x]) => [1, `below ${x?.shape[0]}`],
  grad: ({ x, indices }, dy) => [rowsAdded(indices, dy, x.shape[0] as number), undefined],
})

/** Rows of dy added up where their indices say, [size,...]: the transpose of `take`. */
const INDEX_ADD = defineOp('indexAdd', {
  inputs: ['indices', 'dy'],
  params: { size: 'i64' },
  shape: ([indices, dy], { size }) => ({
    dtype: (dy as Spec).dtype,
    shape: [size, ...(dy as Spec).shape.slice((indices as Spec).shape.length)],
  }),
  checks: (_, { size }) => [0, `below ${size}`],
  grad: ({ indices }, cotangent) => [undefined, rowsTaken(cotangent, indices)],
})

const rowsTaken = (x: Tensor, indices: Tensor): Tensor => TAKE([x, indices], {})
const rowsAdded = (indices: Tensor, dy: Tensor, size: number): Tensor => INDEX_ADD([indices, dy], { size })

/**
 * x [V,...], indices [...], rows indices.shape + x.shape[1:] -> x with those rows at the indices; of equal indices the last
 * row stays.
 */
const INDEX_COPY = defineOp('indexCopy', {
  inputs: ['x', 'indices', 'rows'],
  shape: ([x]) => x as Spec,
  inPlace: () => [0],
  checks: ([x]) => [1, `below ${x?.shape[0]}`],
  grad: ({ x, indices, rows }, dy) => {
    const places = reshaped(iota([sizeOf(indices.shape)], 'i32'), indices.shape)
    const none = constant(-1, { dtype: 'i32', shape: x.shape.slice(0, 1) })
    const stays = eq(rowsTaken(rowsCopied(none, indices, places), indices), places)
    const wide = reshaped(stays, [...indices.shape, ...x.shape.slice(1).map(() => 1)])
    const zeros = constant(0, { dtype: rows.dtype, shape: rows.shape })
    return [rowsCopied(dy, indices, zeros), undefined, where(wide, rowsTaken(dy, indices), 0)]
  },
})

const rowsCopied = (x: Tensor, indices: Tensor, rows: Tensor): Tensor => INDEX_COPY([x, indices, rows], {})

/**
 * The parts of `x` at `indices` (i32 or i64, any shape) along `axis` (default 0): the axes of `indices` stand where the
 * axis was. An index out of range fails the run. Throws `ShapeError` for a scalar, `DTypeError` for other indices.
 */
export function take<D extends DType>(
  x: Tensor<D>,
  indices: Tensor,
  options: { readonly axis?: number } = {},
): Tensor<D> {
  const { shape } = operand('take', x)
  const index = indexOperand('take', indices)
  if (shape.length === 0) throw new ShapeError('take: a scalar has no axis to take from')
  const axis = axisOf('take', optionsOf('take', options).axis ?? 0, shape.length)
  if (axis === 0) return rowsTaken(x, indices) as Tensor<D>
  const others = shape.map((_, k) => k).filter((k) => k !== axis)
  const taken = rowsTaken(permuted(x, [axis, ...others]), indices)
  const rank = index.shape.length
  const order = [
    ...Array.from({ length: axis }, (_, k) => rank + k),
    ...Array.from({ length: rank }, (_, k) => k),
    ...Array.from({ length: shape.length - 1 - axis }, (_, k) => rank + axis + k),
  ]
  return permuted(taken, order) as Tensor<D>
}

/**
 * The rows of a table [V,C] at `indices` (i32 or i64): [..., C]. The row `paddingIndex`, if given, gets no gradient.
 * Throws `ShapeError` unless the table has two axes.
 */
export function embedding<D extends DType>(
  table: Tensor<D>,
  indices: Tensor,
  options: { readonly paddingIndex?: number | undefined } = {},
): Tensor<D> {
  const { shape } = operand('embedding', table)
  indexOperand('embedding', indices)
  if (shape.length !== 2) throw new ShapeError(`embedding: the table must be [V,C], not ${formatShape(shape)}`)
  const rows = rowsTaken(table, indices)
  const { paddingIndex } = optionsOf('embedding', options)
  if (paddingIndex === undefined) return rows as Tensor<D>
  integerFrom('embedding', 'paddingIndex', paddingIndex, 0)
  if (paddingIndex >= (shape[0] as number)) {
    throw new ArgumentError(`embedding: paddingIndex ${paddingIndex} is no row of a table ${formatShape(shape)}`)
  }
  return where(unsqueeze(eq(indices, paddingIndex), -1), stopGradient(rows), rows) as Tensor<D>
}

/**
 * `x` [V,...] with `rows` (the shape of `indices`, then [...]) in place of its rows at `indices` (i32 or i64, any shape). Of
 * equal indices the last one's row stays. An index out of range fails the run. A cell that is assigned the result is
 * written where it lies: only those rows move. Throws `ShapeError`, `DTypeError`.
 */
export function indexCopy<D extends DType>(x: Tensor<D>, indices: Tensor, rows: Tensor): Tensor<D> {
  const op = 'indexCopy'
  const target = operand(op, x)
  const index = indexOperand(op, indices)
  const source = operand(op, rows)
  if (target.shape.length === 0) throw new ShapeError(`${op}: a scalar has no rows`)
  sameDType(op, ['x', 'the rows'], [target, source])
  expectShape(op, 'the rows', source, [...index.shape, ...target.shape.slice(1)])
  return rowsCopied(x, indices, rows) as Tensor<D>
}

const GATHER = defineOp('gather', {
  inputs: ['x', 'index'],
  params: { axis: 'i64' },
  shape: ([x, index]) => ({ dtype: (x as Spec).dtype, shape: (index as Spec).shape }),
  checks: ([x], { axis }) => [1, `below ${x?.shape[axis]}`],
  grad: ({ x, index }, dy, { axis }) => [
    elementsAdded(constant(0, { dtype: x.dtype, shape: x.shape }), index, dy, axis),
    undefined,
  ],
})

const SCATTER_ADD = defineOp('scatterAdd', {
  inputs: ['x', 'index', 'source'],
  params: { axis: 'i64' },
  shape: ([x]) => x as Spec,
  checks: ([x], { axis }) => [1, `below ${x?.shape[axis]}`],
  grad: ({ index }, dy, { axis }) => [dy, undefined, elementsTaken(dy, index, axis)],
})

const elementsTaken = (x: Tensor, index: Tensor, axis: number): Tensor => GATHER([x, index], { axis })
const elementsAdded = (x: Tensor, index: Tensor, source: Tensor, axis: number): Tensor =>
  SCATTER_ADD([x, index, source], { axis })

/** Checks x and an index beside it: equal rank, and no larger than x along the other axes. Gives the axis. */
function indexedAxis(op: string, x: Tensor, index: Tensor, axis: number): number {
  const { shape } = operand(op, x)
  const given = indexOperand(op, index)
  if (shape.length === 0 || given.shape.length !== shape.length) {
    throw new ShapeError(
      `${op}: x ${formatShape(shape)} and the index ${formatShape(given.shape)} must have the same number of axes, at least 1`,
    )
  }
  const along = axisOf(op, axis, shape.length)
  given.shape.forEach((extent, k) => {
    if (k === along || extent <= (shape[k] as number)) return
    throw new ShapeError(
      `${op}: the index ${formatShape(given.shape)} is larger than x ${formatShape(shape)} along axis ${k}`,
    )
  })
  return along
}

/**
 * Elements of `x` picked along `axis`: result[i, j] = x[index[i, j], j] for axis 0, x[i, index[i, j]] for axis 1; of the
 * shape of `index`. An index out of range fails the run. Throws `ShapeError`, `DTypeError`.
 */
export function gather<D extends DType>(x: Tensor<D>, index: Tensor, options: { readonly axis: number }): Tensor<D> {
  return elementsTaken(x, index, indexedAxis('gather', x, index, optionsOf('gather', options).axis)) as Tensor<D>
}

/**
 * `x` with each element of `source` added where `index` (of its shape) says along `axis`: the transpose of `gather`.
 * Equal positions are added in order, so results repeat bit for bit. Throws `ShapeError`, `DTypeError`.
 */
export function scatterAdd<D extends DType>(
  x: Tensor<D>,
  index: Tensor,
  source: Tensor,
  options: { readonly axis: number },
): Tensor<D> {
  const axis = indexedAxis('scatterAdd', x, index, optionsOf('scatterAdd', options).axis)
  const [target, added] = [x.value, operand('scatterAdd', source)]
  sameDType('scatterAdd', ['x', 'the source'], [target, added])
  if (formatShape(added.shape) !== formatShape(index.shape)) {
    throw new ShapeError(
      `scatterAdd: the source ${formatShape(added.shape)} must have the shape of the index, ${formatShape(index.shape)}`,
    )
  }
  return elementsAdded(x, index, source, axis) as Tensor<D>
}

/** 1 at each index and 0 elsewhere along a new last axis of extent `classes`; an index out of range gives zeros. Default f32. */
export function oneHot<D extends DType = 'f32'>(
  indices: Tensor,
  classes: number,
  options: { readonly dtype?: D } = {},
): Tensor<NoInfer<D>> {
  const { dtype } = indexOperand('oneHot', indices)
  integerFrom('oneHot', 'classes', classes, 0)
  const wanted = optionsOf('oneHot', options).dtype ?? 'f32'
  checkDType('oneHot', wanted)
  return cast(eq(unsqueeze(indices, -1), iota([classes], dtype)), wanted) as Tensor<D>
}

const ARG_REDUCE = defineOp('argReduce', {
  inputs: ['x'],
  params: { kind: ['max', 'min'], axis: 'i64' },
  shape: ([x], { axis }) => ({ dtype: 'i32', shape: (x as Spec).shape.filter((_, k) => k !== axis) }),
  grad: 'none',
})

export interface ArgReduceOptions {
  /** Default: over all elements in row-major order. */
  readonly axis?: number
  /** Keep the reduced axis with extent 1. Default false. */
  readonly keepDims?: boolean
}

function argReduce(op: string, kind: 'max' | 'min') {
  return (x: Tensor, options: ArgReduceOptions = {}): Tensor<'i32'> => {
    const { axis, keepDims = false } = optionsOf(op, options)
    const { shape } = operand(op, x)
    const flat = axis === undefined ? reshaped(x, [sizeOf(shape)]) : x
    const along = axis === undefined ? 0 : axisOf(op, axis, shape.length)
    if (flat.shape[along] === 0) {
      throw new ShapeError(
        `${op}: there is no extreme of no elements; ${formatShape(shape)} is empty${axis === undefined ? '' : ` along axis ${along}`}`,
      )
    }
    const found = ARG_REDUCE([flat], { kind, axis: along }) as Tensor<'i32'>
    if (!keepDims) return found
    const kept: Shape = shape.map((extent, k) => (axis === undefined || k === along ? 1 : extent))
    return reshaped(found, kept)
  }
}

/** The index (i32) of the largest element along `axis`; the first of equal ones, and NaN wins. Throws `ShapeError`. */
export const argmax = argReduce('argmax', 'max')
/** The index (i32) of the smallest element along `axis`; the first of equal ones, and NaN wins. Throws `ShapeError`. */
export const argmin = argReduce('argmin', 'min')
