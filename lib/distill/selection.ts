// Parts of arrays: the elements of a tensor on the host at chosen places along some of its axes.
import type { TensorState } from '../state.js'

/** Chosen places along each axis; undefined: all. */
export type Places = readonly (readonly number[] | undefined)[]

/** The elements at those places, in the order of the places. */
export function selected({ data, shape, dtype }: TensorState, places: Places): TensorState {
  if (places.every((list) => list === undefined)) return { data, shape, dtype }
  const lists = shape.map((extent, axis) => places[axis] ?? Array.from({ length: extent }, (_, i) => i))
  const extents = lists.map(({ length }) => length)
  const source = data as Float32Array
  const found = new (source.constructor as new (length: number) => Float32Array)(extents.reduce((a, b) => a * b, 1))
  let at = 0
  const visit = (axis: number, offset: number): void => {
    const list = lists[axis] as readonly number[]
    const below = (shape[axis] as number) * offset
    if (axis === shape.length - 1) for (const place of list) found[at++] = source[below + place] as number
    else for (const place of list) visit(axis + 1, below + place)
  }
  if (shape.length === 0) return { data, shape, dtype }
  visit(0, 0)
  return { data: found as TensorState['data'], shape: extents, dtype }
}

/** Each place of a group as the places of its members: of groups of 3, [0, 2] is [0, 1, 2, 6, 7, 8]. */
export const membersOf = (groups: readonly number[], size: number): number[] =>
  groups.flatMap((group) => Array.from({ length: size }, (_, i) => group * size + i))
