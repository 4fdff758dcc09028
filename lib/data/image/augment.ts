// Augmentation that hides parts of an image, or draws what it does from a list: random erasing and RandAugment.
import { integerFrom, numberIn } from '../../ops/arguments.js'
import type { Random } from '../philox.js'
import * as color from './color.js'
import { rotate, warp } from './geometry.js'
import { emptyLike, type Image, type ImageTransform, imageOf, whiteOf } from './pixels.js'

export interface RandomErasingOptions {
  /** Default 0.5. */
  readonly probability?: number
  /** Share of the image's area. Default 0.02 to 0.33. */
  readonly area?: readonly [number, number]
  /** Height to width. Default 0.3 to 3.3. */
  readonly ratio?: readonly [number, number]
  /** What is put there: a value, or noise of its own for each value. Default 0. */
  readonly value?: number | 'random'
}

/** Overwrites a random rectangle with a probability (Zhong et al. 2017). */
export function randomErasing(options: RandomErasingOptions = {}): ImageTransform {
  const { probability = 0.5, area = [0.02, 0.33], ratio = [0.3, 3.3], value = 0 } = options
  numberIn('randomErasing', 'probability', probability, 0, 1)
  numberIn('randomErasing', 'area[0]', area[0], 0, area[1])
  numberIn('randomErasing', 'ratio[0]', ratio[0], Number.MIN_VALUE, ratio[1])
  return (candidate, random) => {
    const { image, channels, height, width } = imageOf('randomErasing', candidate)
    if (!random.bernoulli(probability)) return image
    for (let attempt = 0; attempt < 10; attempt++) {
      const size = height * width * random.uniform(...area)
      const shape = Math.exp(random.uniform(Math.log(ratio[0]), Math.log(ratio[1])))
      const [h, w] = [Math.round(Math.sqrt(size * shape)), Math.round(Math.sqrt(size / shape))]
      if (h >= height || w >= width || h < 1 || w < 1) continue
      const [top, left] = [random.integer(height - h + 1), random.integer(width - w + 1)]
      const result: Image = { ...image, data: image.data.slice() }
      for (let channel = 0; channel < channels; channel++) {
        for (let y = top; y < top + h; y++) {
          const row = (channel * height + y) * width
          if (value !== 'random') result.data.fill(value, row + left, row + left + w)
          else
            for (let x = left; x < left + w; x++)
              result.data[row + x] = random.uniform(0, whiteOf(image) === 255 ? 256 : 1)
        }
      }
      return result
    }
    return image
  }
}

type Change = (image: Image, strength: number, random: Random) => Image

const signed = (strength: number, random: Random): number => (random.bernoulli(0.5) ? strength : -strength)
const moved = (image: Image, m: readonly [number, number, number, number, number, number]): Image =>
  warp(image, { height: image.shape[1] as number, width: image.shape[2] as number }, m, 0)

/** What RandAugment draws from, each of a strength from 0 to 1; ranges as in torchvision. */
const CHANGES: readonly Change[] = [
  (image) => image,
  (image, s, random) => moved(image, [1, signed(0.3 * s, random), 0, 0, 1, 0]),
  (image, s, random) => moved(image, [1, 0, 0, signed(0.3 * s, random), 1, 0]),
  (image, s, random) =>
    moved(image, [1, 0, signed(Math.round((150 / 331) * s * (image.shape[2] as number)), random), 0, 1, 0]),
  (image, s, random) =>
    moved(image, [1, 0, 0, 0, 1, signed(Math.round((150 / 331) * s * (image.shape[1] as number)), random)]),
  (image, s, random) => rotate(image, signed(30 * s, random)),
  (image, s, random) => color.brightness(image, 1 + signed(0.9 * s, random)),
  (image, s, random) => color.saturation(image, 1 + signed(0.9 * s, random)),
  (image, s, random) => color.contrast(image, 1 + signed(0.9 * s, random)),
  (image, s, random) => color.sharpness(image, 1 + signed(0.9 * s, random)),
  (image, s) => color.posterize(image, 8 - Math.round(4 * s)),
  (image, s) => color.solarize(image, 1 - s),
  (image) => color.autoContrast(image),
  (image) => color.equalize(image),
]

/** `operations` changes (default 2) drawn from fourteen, each of a strength of `magnitude` out of 30 (default 9; Cubuk et al. 2019). */
export function randAugment({
  operations = 2,
  magnitude = 9,
}: {
  readonly operations?: number
  readonly magnitude?: number
} = {}): ImageTransform {
  integerFrom('randAugment', 'operations', operations, 0)
  numberIn('randAugment', 'magnitude', magnitude, 0, 30)
  return (candidate, random) => {
    let { image } = imageOf('randAugment', candidate)
    for (let i = 0; i < operations; i++) {
      image = (CHANGES[random.integer(CHANGES.length)] as Change)(image, magnitude / 30, random)
    }
    return image === candidate ? { ...emptyLike(image, image.shape), data: image.data.slice() } : image
  }
}
