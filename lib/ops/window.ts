// Windows that slide over spatial axes: their strides, paddings and dilations, checked, and the extents they give.
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { formatShape, type Shape } from '../schema/shape.js'
import { integerFrom } from './arguments.js'

/** One number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[]

/**
 * Zeros around each spatial axis: a number for both sides of all of them, one per axis, or [before, after] per axis.
 * `valid` is none; `same` gives ceil(extent / stride) results, the odd zero going behind.
 */
export type Padding = PerAxis | readonly (readonly [number, number])[] | 'same' | 'valid'

/** A window over the axes behind [N,C]; `padding` holds what is before each axis, then what is after each. */
export interface Sliding {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly padding: readonly number[]
}

export function perAxis(op: string, name: string, value: PerAxis, rank: number, low: number): number[] {
  const list = typeof value === 'number' ? new Array<number>(rank).fill(value) : [...value]
  if (list.length !== rank)
    throw new ArgumentError(`${op}: ${name} [${list}] must have one number for each of ${rank} spatial axes`)
  for (const entry of list) integerFrom(op, name, entry, low)
  return list
}

/** How far a window reaches: (kernel - 1) dilation + 1. */
const reach = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1

function paddingOf(
  op: string,
  padding: Padding,
  spatial: Shape,
  { kernel, stride, dilation }: Omit<Sliding, 'padding'>,
): number[] {
  const rank = spatial.length
  if (padding === 'valid') return new Array<number>(2 * rank).fill(0)
  if (padding === 'same') {
    const totals = spatial.map((extent, i) => {
      const step = stride[i] as number
      return Math.max(
        0,
        (Math.ceil(extent / step) - 1) * step + reach(kernel[i] as number, dilation[i] as number) - extent,
      )
    })
    return [...totals.map((total) => Math.floor(total / 2)), ...totals.map((total) => Math.ceil(total / 2))]
  }
  if (typeof padding === 'string')
    throw new ArgumentError(`${op}: padding must be 'same', 'valid' or numbers, not '${String(padding)}'`)
  if (typeof padding === 'number' || typeof padding[0] === 'number' || rank === 0) {
    const both = perAxis(op, 'padding', padding as PerAxis, rank, 0)
    return [...both, ...both]
  }
  const pairs = padding as readonly (readonly [number, number])[]
  if (pairs.length !== rank || pairs.some((pair) => !Array.isArray(pair) || pair.length !== 2)) {
    throw new ArgumentError(`${op}: padding must have one [before, after] for each of ${rank} spatial axes`)
  }
  for (const width of pairs.flat()) integerFrom(op, 'padding', width, 0)
  return [...pairs.map(([before]) => before), ...pairs.map(([, after]) => after)]
}

export interface SlidingOptions {
  readonly stride?: PerAxis
  readonly padding?: Padding
  readonly dilation?: PerAxis
}

/** The window an op slides over `shape` [N,C,...spatial]. Throws `ArgumentError`. */
export function slidingOver(op: string, shape: Shape, kernel: readonly number[], options: SlidingOptions): Sliding {
  const spatial = shape.slice(2)
  const rank = spatial.length
  const steps = {
    kernel,
    stride: perAxis(op, 'stride', options.stride ?? 1, rank, 1),
    dilation: perAxis(op, 'dilation', options.dilation ?? 1, rank, 1),
  }
  return { ...steps, padding: paddingOf(op, options.padding ?? 0, spatial, steps) }
}

/** Extents after sliding: floor((extent + before + after - reach) / stride) + 1. Throws `ShapeError` where the window does not fit. */
export function slidExtents(op: string, spatial: Shape, { kernel, stride, dilation, padding }: Sliding): number[] {
  return spatial.map((extent, i) => {
    const room = extent + (padding[i] as number) + (padding[i + spatial.length] as number)
    const needed = reach(kernel[i] as number, dilation[i] as number)
    if (room < needed) {
      throw new ShapeError(
        `${op}: a window of ${needed} does not fit the extent ${extent} with its padding, ${room}, in ${formatShape(spatial)}`,
      )
    }
    return Math.floor((room - needed) / (stride[i] as number)) + 1
  })
}

/** Memory order of [N,C,...spatial] with the channels innermost, which matrix units want. */
export const channelsLast = (rank: number): number[] => [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1]
