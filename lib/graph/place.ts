// Places: the memory a lowered value lives in, before it has an address.
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import type { Shape } from '../schema/shape.js'
import type { CellState } from './cell.js'
import type { Layout } from './op.js'

/** A block of memory: one the caller brings or gets, or one in the arena. */
export type Place =
  | { readonly kind: 'input'; readonly bytes: number; readonly position: number }
  | { readonly kind: 'cell'; readonly bytes: number; readonly cell: CellState }
  | { readonly kind: 'output'; readonly bytes: number; readonly position: number }
  | { readonly kind: 'arena'; readonly bytes: number }

/** A tensor in memory: a window on a place. */
export interface Stored extends Spec, Layout {
  readonly place: Place
  readonly dtype: DType
  readonly shape: Shape
}

/** One kernel call between stored tensors. */
export interface LoweredStep {
  readonly op: string
  readonly label: string
  readonly params: Readonly<Record<string, unknown>>
  readonly inputs: readonly Stored[]
  readonly outputs: readonly Stored[]
  /** For each output, the inputs whose memory it may take over once they are no longer read. */
  readonly inPlace: readonly (readonly number[])[]
}

/** A graph turned into steps, in the order they run. */
export interface Lowered {
  readonly steps: readonly LoweredStep[]
  readonly outputs: readonly Stored[]
}

let places = 0
const numbers = new WeakMap<Place, number>()

/** A number that tells places apart in keys. */
export function placeNumber(place: Place): number {
  let number = numbers.get(place)
  if (number === undefined) numbers.set(place, (number = ++places))
  return number
}
