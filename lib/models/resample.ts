// Images in another size as Pillow makes them, which models were trained with: filters as wide as what is left out.
import { crop, type Image } from '../data/index.js'

/** By the numbers of Pillow's Resampling. */
export const RESAMPLINGS = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const
export type Resampling = (typeof RESAMPLINGS)[number]

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

interface Filter {
  readonly support: number
  readonly at: (x: number) => number
}

/** Weights by distance in pixels of the coarser image. */
const FILTERS: Readonly<Record<Exclude<Resampling, 'nearest'>, Filter>> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, at: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0) },
  // Keys 1981, a = -1/2.
  bicubic: {
    support: 2,
    at: (x) => {
      const far = Math.abs(x)
      if (far < 1) return (1.5 * far - 2.5) * far * far + 1
      return far < 2 ? ((-0.5 * far + 2.5) * far - 4) * far + 2 : 0
    },
  },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

/** Bits behind the point of Pillow's weights for 8-bit images. */
const ONE = 2 ** 22

interface Window {
  readonly start: number
  readonly weights: readonly number[]
}

/** For each of `to` pixels the ones of `from` that it is made of. */
function windowsOf(from: number, to: number, { support, at }: Filter): Window[] {
  const scale = from / to
  const widened = Math.max(1, scale)
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale
    const start = Math.max(0, Math.trunc(center - support * widened + 0.5))
    const end = Math.min(from, Math.trunc(center + support * widened + 0.5))
    const raw = Array.from({ length: end - start }, (_unused, j) => at((j + start - center + 0.5) / widened))
    const total = raw.reduce((sum, weight) => sum + weight, 0)
    const fixed = (weight: number): number => Math.trunc((weight / total) * ONE + (weight < 0 ? -0.5 : 0.5))
    return { start, weights: raw.map(fixed) }
  })
}

/** One axis: [outer,from,inner] -> [outer,to,inner], u8. */
function along(data: Uint8Array, outer: number, from: number, to: number, inner: number, filter: Filter): Uint8Array {
  const windows = windowsOf(from, to, filter)
  const result = new Uint8Array(outer * to * inner)
  for (let o = 0; o < outer; o++)
    for (const [i, { start, weights }] of windows.entries())
      for (let j = 0; j < inner; j++) {
        let sum = ONE / 2
        for (const [k, weight] of weights.entries())
          sum += weight * (data[(o * from + start + k) * inner + j] as number)
        result[(o * to + i) * inner + j] = Math.min(255, Math.max(0, Math.floor(sum / ONE)))
      }
  return result
}

/** A u8 image [C,H,W] in another size. */
export function resample(image: Image, height: number, width: number, kind: Resampling): Image {
  const [channels, rows, columns] = image.shape as readonly [number, number, number]
  const shape = [channels, height, width]
  if (kind === 'nearest') {
    const data = Uint8Array.from({ length: channels * height * width }, (_, at) => {
      const y = Math.trunc((Math.trunc(at / width) % height) * (rows / height) + rows / height / 2)
      const x = Math.trunc(((at % width) + 0.5) * (columns / width))
      return image.data[(Math.trunc(at / (height * width)) * rows + y) * columns + x] as number
    })
    return { data, shape, dtype: 'u8' }
  }
  const filter = FILTERS[kind]
  const pixels = image.data as Uint8Array
  const wide = columns === width ? pixels : along(pixels, channels * rows, columns, width, 1, filter)
  return { data: rows === height ? wide : along(wide, channels, rows, height, width, filter), shape, dtype: 'u8' }
}

/** The middle, black where the image does not reach; an odd pixel is left out at the top and left. */
export function middle(image: Image, height: number, width: number): Image {
  const [, rows, columns] = image.shape as readonly [number, number, number]
  const [top, left] = [Math.floor((rows - height) / 2), Math.floor((columns - width) / 2)]
  return crop(image, { top, left, height, width })
}
