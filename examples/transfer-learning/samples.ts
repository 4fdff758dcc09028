// Digits as samples: some classes of them, upright, or turned to all four sides, each side a class of its own.
import type { Digits } from '../digits.js'

const SIDE = 28
const PIXELS = SIDE * SIDE

export interface Sample {
  readonly image: { readonly data: Float32Array; readonly shape: readonly number[]; readonly dtype: 'f32' }
  readonly label: number
}

const imageOf = (data: Float32Array): Sample['image'] => ({ data, shape: [1, SIDE, SIDE], dtype: 'f32' })

/** The digits from `low` up to `high`, labelled from 0 on. */
export const samplesOf = ({ images, labels }: Digits, low: number, high: number): Sample[] =>
  Array.from(labels).flatMap((label, i) =>
    label >= low && label < high
      ? [{ image: imageOf(images.subarray(i * PIXELS, (i + 1) * PIXELS)), label: label - low }]
      : [],
  )

const turned = (data: Float32Array): Float32Array =>
  Float32Array.from({ length: PIXELS }, (_, i) => data[(SIDE - 1 - (i % SIDE)) * SIDE + Math.floor(i / SIDE)] as number)

/**
 * Four samples of each, turned by a quarter each time: four times the classes, so that a network has more to tell apart and
 * learns what serves for other figures too (Hariharan and Girshick 2017 do so with few examples, by other means).
 */
export const turnedToAllSides = (samples: readonly Sample[], classes: number): Sample[] =>
  samples.flatMap(({ image, label }) => {
    const sides = [image.data]
    for (let side = 1; side < 4; side++) sides.push(turned(sides.at(-1) as Float32Array))
    return sides.map((data, side) => ({ image: imageOf(data), label: label + side * classes }))
  })
