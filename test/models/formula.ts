// Weights by a formula, as conformance/models/weights.py has it.
import type { StateDict } from '../../lib/index.js'

/** A tensor's elements, from its name. */
export function weight(name: string, shape: readonly number[]): Float32Array {
  let state = 0x811c9dc5
  for (const byte of Buffer.from(name)) state = Math.imul(state ^ byte, 0x01000193)
  const count = shape.reduce((product, extent) => product * extent, 1)
  const shift = shape.length === 1 && /(weight|running_var)$/.test(name) ? 1 : 0
  return Float32Array.from({ length: count }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return ((state >>> 8) / 2 ** 24 - 0.5) / 2 + shift
  })
}

export type Shapes = Readonly<Record<string, readonly number[]>>

/** Counts of batches are 0, all others by the formula. */
export const weightsOf = (shapes: Shapes): StateDict =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      name.endsWith('num_batches_tracked')
        ? { data: new BigInt64Array(1), shape, dtype: 'i64' as const }
        : { data: weight(name, shape), shape, dtype: 'f32' as const },
    ]),
  )

/** cos(start), cos(start + 1), ... */
export const waves = (count: number, start = 0): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.cos(start + i))
