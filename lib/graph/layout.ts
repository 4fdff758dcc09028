// Layouts: windows on memory, as strides and an offset in elements; which views and kernels they allow.
import type { Spec, Strides } from '../schema/op.js'
import { contiguousStrides, type Shape, sizeOf } from '../schema/shape.js'
import type { Layout } from './op.js'

export const contiguous = (shape: Shape): Layout => ({ offset: 0, strides: contiguousStrides(shape) })

/** Strides of gapless memory whose axes lie in `order`, outermost first. */
export function orderedStrides(shape: Shape, order: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let step = 1
  for (const axis of [...order].reverse()) {
    strides[axis] = step
    step *= shape[axis] as number
  }
  return strides
}

/** The axes from the largest stride to the smallest; axes of extent 1 and ties keep their logical order. */
export function memoryOrder(strides: readonly number[], shape: Shape): number[] {
  const axes = shape.map((_, axis) => axis)
  const weight = (axis: number): number => Math.abs(strides[axis] as number)
  const real = axes.filter((axis) => shape[axis] !== 1).sort((a, b) => weight(b) - weight(a) || a - b)
  // An axis of extent 1 may lie anywhere: leave it where the logical order has it.
  let next = 0
  return axes.map((axis) => (shape[axis] === 1 ? axis : (real[next++] as number)))
}

/** Row-major without gaps, whatever the strides of axes of extent 1. */
export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  const wanted = contiguousStrides(shape)
  return sizeOf(shape) <= 1 || shape.every((extent, axis) => extent === 1 || strides[axis] === wanted[axis])
}

/** A permutation of gapless memory. */
export function isDense(shape: Shape, strides: readonly number[]): boolean {
  const wanted = orderedStrides(shape, memoryOrder(strides, shape))
  return sizeOf(shape) <= 1 || shape.every((extent, axis) => extent === 1 || strides[axis] === wanted[axis])
}

/** Whether the last two axes are a row-major or transposed matrix. */
function isMatrix(shape: Shape, strides: readonly number[]): boolean {
  if (shape.length < 2) return isContiguous(shape, strides)
  const [rows, columns] = shape.slice(-2) as [number, number]
  const [down, right] = strides.slice(-2) as [number, number]
  const rowMajor = (right === 1 || columns === 1) && (down >= Math.max(columns, 1) || rows === 1)
  const transposed = (down === 1 || rows === 1) && (right >= Math.max(rows, 1) || columns === 1)
  return (rowMajor || transposed) && strides.every((stride) => stride >= 0)
}

/** Whether a kernel that asks for `wanted` takes these strides as they are. */
export function accepts(wanted: Strides, { shape }: Spec, strides: readonly number[]): boolean {
  if (wanted === 'any') return true
  if (wanted === 'matrix') return isMatrix(shape, strides)
  if (wanted === 'dense') return isDense(shape, strides)
  if (wanted === 'lastAxis') return shape.length === 0 || shape.at(-1) === 1 || strides.at(-1) === 1
  return isContiguous(shape, strides)
}

/**
 * The strides of the same memory seen under another shape, or undefined where that takes a copy. Axes are matched in
 * groups of equal size; inside a group the old axes must lie behind one another without gaps.
 */
export function reshapeStrides(from: Shape, strides: readonly number[], to: Shape): number[] | undefined {
  if (sizeOf(from) === 0) return contiguousStrides(to)
  const axes = from
    .map((extent, axis) => ({ extent, stride: strides[axis] as number }))
    .filter(({ extent }) => extent !== 1)
  const result = new Array<number>(to.length).fill(0)
  let position = 0
  let axis = 0
  while (axis < to.length) {
    if (to[axis] === 1) {
      axis++
      continue
    }
    const first = axis
    const group = [axes[position++] as { extent: number; stride: number }]
    let oldSize = (group[0] as { extent: number }).extent
    let newSize = to[axis++] as number
    while (oldSize !== newSize) {
      if (oldSize < newSize) {
        const next = axes[position++] as { extent: number; stride: number }
        const last = group.at(-1) as { extent: number; stride: number }
        if (last.stride !== next.stride * next.extent) return undefined
        group.push(next)
        oldSize *= next.extent
      } else newSize *= to[axis++] as number
    }
    let step = (group.at(-1) as { stride: number }).stride
    for (let k = axis - 1; k >= first; k--) {
      result[k] = step
      step *= to[k] as number
    }
  }
  return result
}
