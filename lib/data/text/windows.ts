// A long row of tokens cut into windows, each with the tokens that follow: what a language model learns from.
import { integerFrom } from '../../ops/arguments.js'
import { ArgumentError } from '../../runtime/errors.js'
import { dataset, type IndexedDataset } from '../dataset.js'

export interface WindowSample {
  /** i32 of [length]. */
  readonly tokens: Int32Array
  /** The token after each, i32 of [length]. */
  readonly targets: Int32Array
}

/**
 * Windows of `length` tokens that begin every `stride` tokens (default `length`: no overlap). What does not fill a window at
 * the end is left out. Throws `ArgumentError` where there is not one.
 */
export function tokenWindows(
  tokens: ArrayLike<number>,
  { length, stride = length }: { readonly length: number; readonly stride?: number },
): IndexedDataset<WindowSample> {
  integerFrom('tokenWindows', 'length', length, 1)
  integerFrom('tokenWindows', 'stride', stride, 1)
  const all =
    tokens instanceof Int32Array || tokens instanceof Uint8Array || tokens instanceof Uint16Array
      ? tokens
      : Int32Array.from(tokens)
  const count = Math.floor((all.length - length - 1) / stride) + 1
  if (all.length < length + 1) {
    throw new ArgumentError(
      `tokenWindows: ${all.length} tokens do not fill a window of ${length} and the token after it`,
    )
  }
  return dataset({
    length: count,
    get: (index) => {
      const start = index * stride
      return {
        tokens: Int32Array.from(all.subarray(start, start + length)),
        targets: Int32Array.from(all.subarray(start + 1, start + length + 1)),
      }
    },
  })
}
