// Tensors of every dtype, as files hold them.
import type { StateDict } from '../../lib/index.js'
import type { StoredTensor } from '../../lib/io/index.js'
import { bytesOf, DTYPES, type DType } from '../../lib/schema/dtype.js'
import { stored } from '../../lib/schema/elements.js'

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Random bits (bool: 0 and 1), so that NaNs, infinities and subnormals are among them. */
export function randomTensor<D extends DType>(
  dtype: D,
  shape: readonly number[],
  random: () => number,
): StoredTensor<D> {
  const size = shape.reduce((a, b) => a * b, 1)
  const bytes = new Uint8Array(size * bytesOf(dtype))
  for (let i = 0; i < bytes.length; i++) bytes[i] = random() * (dtype === 'bool' ? 2 : 256)
  return { dtype, shape, data: stored(dtype, bytes.buffer) }
}

/** One tensor of each dtype, a scalar, an empty one, and names that are not plain. */
export function oneOfEach(seed = 1): Record<string, StoredTensor> {
  const random = generator(seed)
  return Object.fromEntries([
    ...DTYPES.map((dtype, i) => [`layer.${i}.${dtype}`, randomTensor(dtype, [3, i + 1, 2], random)] as const),
    ['scalar', randomTensor('f32', [], random)],
    ['empty', randomTensor('f64', [0, 7], random)],
    ['__proto__', randomTensor('i32', [2], random)],
    ['12', randomTensor('u8', [5], random)],
    ['Gewicht "ß" \\ 重み 🧵', randomTensor('f32', [2], random)],
  ])
}

/** The bytes of every tensor, for comparisons that know NaN. */
export const bytesOfAll = (tensors: StateDict): [string, string, readonly number[], string][] =>
  Object.entries(tensors)
    .map(([name, { dtype, shape, data }]): [string, string, readonly number[], string] => [
      name,
      dtype,
      shape,
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex'),
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1))
