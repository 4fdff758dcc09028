// Changes of an image's colours: brightness, contrast, saturation, hue and what RandAugment needs beside them.
import { numberIn } from '../../ops/arguments.js'
import { ArgumentError } from '../../runtime/errors.js'
import type { HostArray } from '../sample.js'
import { clamped, emptyLike, type Image, type ImageTransform, imageOf, whiteOf } from './pixels.js'

/** `factor` of the image and the rest of `other`; factors above 1 lead away from it. */
function blend(image: Image, other: (position: number) => number, factor: number): Image {
  const result = emptyLike(image, image.shape)
  const white = whiteOf(image)
  for (let i = 0; i < image.data.length; i++) {
    const from = other(i)
    result.data[i] = clamped(from + ((image.data[i] as number) - from) * factor, white)
  }
  return result
}

/** Luma (ITU-R 601) of each pixel; of other than three channels, their mean. */
function luma({ image, channels, height, width }: ReturnType<typeof imageOf>): Float64Array {
  const weights = channels === 3 ? [0.299, 0.587, 0.114] : new Array<number>(channels).fill(1 / channels)
  const area = height * width
  return Float64Array.from({ length: area }, (_, at) =>
    weights.reduce((sum, weight, channel) => sum + weight * (image.data[channel * area + at] as number), 0),
  )
}

/** 0 is black, 1 the image. */
export const brightness = (image: HostArray, factor: number): Image =>
  blend(imageOf('brightness', image).image, () => 0, factor)

/** 0 is the grey of the image's mean, 1 the image. */
export function contrast(image: HostArray, factor: number): Image {
  const parts = imageOf('contrast', image)
  const grey = luma(parts)
  const mean = grey.reduce((sum, value) => sum + value, 0) / grey.length
  return blend(parts.image, () => mean, factor)
}

/** 0 is the image in grey, 1 the image. */
export function saturation(image: HostArray, factor: number): Image {
  const parts = imageOf('saturation', image)
  const grey = luma(parts)
  return blend(parts.image, (position) => grey[position % grey.length] as number, factor)
}

/** Turns the colours of RGB by a share of the circle, from -0.5 to 0.5; images of other than three channels stay. */
export function hue(image: HostArray, turn: number): Image {
  const { image: source, channels, height, width } = imageOf('hue', image)
  if (channels !== 3) return source
  const area = height * width
  const result = emptyLike(source, source.shape)
  const white = whiteOf(source)
  for (let at = 0; at < area; at++) {
    const [r, g, b] = [source.data[at], source.data[area + at], source.data[2 * area + at]] as [number, number, number]
    const max = Math.max(r, g, b)
    const chroma = max - Math.min(r, g, b)
    const sixth =
      chroma === 0
        ? 0
        : max === r
          ? ((g - b) / chroma + 6) % 6
          : max === g
            ? (b - r) / chroma + 2
            : (r - g) / chroma + 4
    const turned = (((sixth / 6 + turn) % 1) + 1) % 1
    for (const [channel, offset] of [5, 3, 1].entries()) {
      // V - V S max(0, min(k, 4 - k, 1)) with k = (n + H / 60 degrees) mod 6.
      const k = (offset + turned * 6) % 6
      result.data[channel * area + at] = clamped(max - chroma * Math.max(0, Math.min(k, 4 - k, 1)), white)
    }
  }
  return result
}

export interface ColorJitterOptions {
  /** Factors are drawn from [1 - x, 1 + x], not below 0. Default 0: unchanged. */
  readonly brightness?: number
  readonly contrast?: number
  readonly saturation?: number
  /** Turns are drawn from [-x, x], at most 0.5. Default 0. */
  readonly hue?: number
}

/** Brightness, contrast, saturation and hue changed at random, in random order. */
export function colorJitter(options: ColorJitterOptions): ImageTransform {
  const { brightness: b = 0, contrast: c = 0, saturation: s = 0, hue: h = 0 } = options
  for (const [name, value] of Object.entries({ brightness: b, contrast: c, saturation: s }))
    numberIn('colorJitter', name, value, 0)
  numberIn('colorJitter', 'hue', h, 0, 0.5)
  return (image, random) => {
    const factor = (range: number): number => random.uniform(Math.max(0, 1 - range), 1 + range)
    const changes: readonly [number, (image: Image) => Image][] = [
      [b, (current) => brightness(current, factor(b))],
      [c, (current) => contrast(current, factor(c))],
      [s, (current) => saturation(current, factor(s))],
      [h, (current) => hue(current, random.uniform(-h, h))],
    ]
    let current = imageOf('colorJitter', image).image
    for (const at of random.permutation(changes.length)) {
      const [range, change] = changes[at] as (typeof changes)[number]
      if (range > 0) current = change(current)
    }
    return current
  }
}

/** Each value passed through `fn`, from 0 to 1 and back. */
function pointwise(image: HostArray, fn: (value: number) => number): Image {
  const { image: source } = imageOf('pointwise', image)
  const white = whiteOf(source)
  const result = emptyLike(source, source.shape)
  for (let i = 0; i < source.data.length; i++)
    result.data[i] = clamped(fn((source.data[i] as number) / white) * white, white)
  return result
}

/** Inverts what is at least `threshold`, from 0 to 1. */
export const solarize = (image: HostArray, threshold: number): Image =>
  pointwise(image, (x) => (x >= threshold ? 1 - x : x))

/** Keeps the upper `bits` of 8. */
export const posterize = (image: HostArray, bits: number): Image =>
  pointwise(image, (x) => (Math.round(x * 255) & (256 - 2 ** (8 - bits))) / 255)

/** Stretches each channel to the whole range. */
export const autoContrast = (image: HostArray): Image =>
  perChannel(image, (values, white) => {
    let low = white
    let high = 0
    for (const value of values) {
      low = Math.min(low, value)
      high = Math.max(high, value)
    }
    return high === low ? (x) => x : (x) => ((x - low) / (high - low)) * white
  })

/** Makes each channel's values equally frequent, by 256 levels. */
export const equalize = (image: HostArray): Image =>
  perChannel(image, (values, white) => {
    const level = (x: number): number => Math.round((x / white) * 255)
    const counts = new Uint32Array(256)
    for (const value of values) counts[level(value)] = (counts[level(value)] as number) + 1
    const last = counts.findLast((count) => count > 0) as number
    const step = Math.floor((values.length - last) / 255)
    if (step === 0) return (x) => x
    let below = Math.floor(step / 2)
    const table = Float64Array.from(counts, (count) => {
      const found = Math.min(255, Math.floor(below / step))
      below += count
      return found
    })
    return (x) => ((table[level(x)] as number) / 255) * white
  })

function perChannel(
  image: HostArray,
  make: (values: Uint8Array | Float32Array, white: number) => (value: number) => number,
): Image {
  const { image: source, channels } = imageOf('perChannel', image)
  const white = whiteOf(source)
  const area = source.data.length / channels
  const result = emptyLike(source, source.shape)
  for (let start = 0; start < source.data.length; start += area) {
    const fn = make(source.data.subarray(start, start + area), white)
    for (let i = start; i < start + area; i++) result.data[i] = clamped(fn(source.data[i] as number), white)
  }
  return result
}

/** 0 is the image smoothed by [1 1 1; 1 5 1; 1 1 1] / 13, 1 the image; its border stays. */
export function sharpness(image: HostArray, factor: number): Image {
  const { image: source, height, width } = imageOf('sharpness', image)
  const area = height * width
  return blend(
    source,
    (position) => {
      const y = Math.floor((position % area) / width)
      const x = position % width
      if (y === 0 || x === 0 || y === height - 1 || x === width - 1) return source.data[position] as number
      let sum = 4 * (source.data[position] as number)
      for (const row of [-width, 0, width])
        for (const column of [-1, 0, 1]) sum += source.data[position + row + column] as number
      return sum / 13
    },
    factor,
  )
}

/** f32 of (x - mean) / std, per channel; u8 is brought to 0 to 1 first. Throws `ArgumentError` for lists that do not fit. */
export function normalize({
  mean,
  std,
}: {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}): (image: HostArray) => HostArray {
  return (image) => {
    const { image: source, channels } = imageOf('normalize', image)
    if (mean.length !== channels || std.length !== channels) {
      throw new ArgumentError(
        `normalize: the image has ${channels} channels, there are ${mean.length} means and ${std.length} deviations`,
      )
    }
    const area = source.data.length / channels
    const white = whiteOf(source)
    const data = new Float32Array(source.data.length)
    for (let i = 0; i < data.length; i++) {
      const channel = Math.floor(i / area)
      data[i] = ((source.data[i] as number) / white - (mean[channel] as number)) / (std[channel] as number)
    }
    return { data, shape: source.shape, dtype: 'f32' }
  }
}
