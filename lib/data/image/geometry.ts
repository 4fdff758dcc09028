// Crops, flips, rotations and other moves of an image's pixels.
import { integerFrom, numberIn } from '../../ops/arguments.js'
import { ArgumentError } from '../../runtime/errors.js'
import type { HostArray } from '../sample.js'
import { clamped, emptyLike, type Image, type ImageTransform, imageOf, whiteOf } from './pixels.js'

export interface Size {
  readonly height: number
  readonly width: number
}

function checkSize(op: string, { height, width }: Size): void {
  integerFrom(op, 'the height', height, 1)
  integerFrom(op, 'the width', width, 1)
}

/** The window at (top, left), `fill` where it is outside of the image. */
export function crop(
  image: HostArray,
  {
    top,
    left,
    height,
    width,
    fill = 0,
  }: Size & { readonly top: number; readonly left: number; readonly fill?: number },
): Image {
  const { image: source, channels, height: rows, width: columns } = imageOf('crop', image)
  checkSize('crop', { height, width })
  const result = emptyLike(source, [channels, height, width])
  if (fill !== 0) result.data.fill(fill)
  const from = Math.max(0, left)
  const to = Math.min(columns, left + width)
  if (from >= to) return result
  for (let channel = 0; channel < channels; channel++) {
    for (let y = Math.max(0, -top); y < height && y + top < rows; y++) {
      const row = (channel * rows + y + top) * columns
      result.data.set(source.data.subarray(row + from, row + to), (channel * height + y) * width + from - left)
    }
  }
  return result
}

/** The middle. */
export const centerCrop = (size: Size): ImageTransform => {
  checkSize('centerCrop', size)
  return (image) => {
    const { height, width } = imageOf('centerCrop', image)
    return crop(image, {
      ...size,
      top: Math.round((height - size.height) / 2),
      left: Math.round((width - size.width) / 2),
    })
  }
}

/** A window at a random place, of the image with `padding` pixels of `fill` around it. */
export function randomCrop({
  padding = 0,
  fill = 0,
  ...size
}: Size & { readonly padding?: number; readonly fill?: number }): ImageTransform {
  checkSize('randomCrop', size)
  integerFrom('randomCrop', 'the padding', padding, 0)
  return (image, random) => {
    const { height, width } = imageOf('randomCrop', image)
    const rows = height + 2 * padding - size.height
    const columns = width + 2 * padding - size.width
    if (rows < 0 || columns < 0) {
      throw new ArgumentError(
        `randomCrop: an image of ${height} x ${width} with padding ${padding} is smaller than ${size.height} x ${size.width}`,
      )
    }
    const top = random.integer(rows + 1) - padding
    const left = random.integer(columns + 1) - padding
    return crop(image, { ...size, top, left, fill })
  }
}

/** Mirrors left and right, or top and bottom. */
export function flip(image: HostArray, axis: 'horizontal' | 'vertical'): Image {
  const { image: source, channels, height, width } = imageOf('flip', image)
  const result = emptyLike(source, source.shape)
  for (let row = 0; row < channels * height; row++) {
    const y = row % height
    const to = axis === 'vertical' ? row - y + (height - 1 - y) : row
    result.data.set(source.data.subarray(row * width, (row + 1) * width), to * width)
    if (axis === 'horizontal') result.data.subarray(to * width, (to + 1) * width).reverse()
  }
  return result
}

/** Mirrors left and right with probability `horizontal` (default 0.5), top and bottom with `vertical` (default 0). */
export function randomFlip({
  horizontal = 0.5,
  vertical = 0,
}: {
  readonly horizontal?: number
  readonly vertical?: number
} = {}): ImageTransform {
  numberIn('randomFlip', 'horizontal', horizontal, 0, 1)
  numberIn('randomFlip', 'vertical', vertical, 0, 1)
  return (image, random) => {
    const [mirror, turn] = [random.bernoulli(horizontal), random.bernoulli(vertical)]
    const mirrored = mirror ? flip(image, 'horizontal') : imageOf('randomFlip', image).image
    return turn ? flip(mirrored, 'vertical') : mirrored
  }
}

/** An image of `size` whose pixel (x, y) is the given one's at m * (x, y, 1), between pixels bilinearly. */
export function warp(
  image: HostArray,
  size: Size,
  m: readonly [number, number, number, number, number, number],
  fill: number | 'edge',
): Image {
  const { image: source, channels, height, width } = imageOf('warp', image)
  const result = emptyLike(source, [channels, size.height, size.width])
  const white = whiteOf(source)
  const rounds = source.dtype === 'u8'
  const at = (channel: number, y: number, x: number): number => {
    const inside = y >= 0 && y < height && x >= 0 && x < width
    if (!inside && fill !== 'edge') return fill
    const row = Math.min(height - 1, Math.max(0, y))
    return source.data[(channel * height + row) * width + Math.min(width - 1, Math.max(0, x))] as number
  }
  let position = 0
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < size.height; y++) {
      for (let x = 0; x < size.width; x++) {
        const fromX = m[0] * x + m[1] * y + m[2]
        const fromY = m[3] * x + m[4] * y + m[5]
        const [left, top] = [Math.floor(fromX), Math.floor(fromY)]
        const [dx, dy] = [fromX - left, fromY - top]
        const upper = at(channel, top, left) * (1 - dx) + (dx === 0 ? 0 : at(channel, top, left + 1) * dx)
        const lower =
          dy === 0 ? 0 : at(channel, top + 1, left) * (1 - dx) + (dx === 0 ? 0 : at(channel, top + 1, left + 1) * dx)
        const value = upper * (1 - dy) + lower * dy
        result.data[position++] = rounds ? clamped(value, white) : value
      }
    }
  }
  return result
}

/** A part of the image stretched to `size`, pixels taken as areas. */
const stretched = (
  image: HostArray,
  size: Size,
  part: Size & { readonly top: number; readonly left: number },
): Image => {
  const scaleX = part.width / size.width
  const scaleY = part.height / size.height
  return warp(image, size, [scaleX, 0, part.left + scaleX / 2 - 0.5, 0, scaleY, part.top + scaleY / 2 - 0.5], 'edge')
}

/** The whole image in another size, bilinearly; `decodeImage` makes small images of large ones better. */
export const resize = (size: Size): ImageTransform => {
  checkSize('resize', size)
  return (image) => {
    const { height, width } = imageOf('resize', image)
    return stretched(image, size, { top: 0, left: 0, height, width })
  }
}

/**
 * A random part of the image, `scale` of its area and `ratio` wide as it is high, in the size asked for (Szegedy et al.
 * 2015, as torchvision draws it).
 */
export function randomResizedCrop({
  scale = [0.08, 1],
  ratio = [3 / 4, 4 / 3],
  ...size
}: Size & { readonly scale?: readonly [number, number]; readonly ratio?: readonly [number, number] }): ImageTransform {
  checkSize('randomResizedCrop', size)
  numberIn('randomResizedCrop', 'scale[0]', scale[0], Number.MIN_VALUE, scale[1])
  numberIn('randomResizedCrop', 'ratio[0]', ratio[0], Number.MIN_VALUE, ratio[1])
  return (image, random) => {
    const { height, width } = imageOf('randomResizedCrop', image)
    for (let attempt = 0; attempt < 10; attempt++) {
      const area = height * width * random.uniform(...scale)
      const shape = Math.exp(random.uniform(Math.log(ratio[0]), Math.log(ratio[1])))
      const [w, h] = [Math.round(Math.sqrt(area * shape)), Math.round(Math.sqrt(area / shape))]
      if (w < 1 || h < 1 || w > width || h > height) continue
      const part = { top: random.integer(height - h + 1), left: random.integer(width - w + 1), height: h, width: w }
      return stretched(image, size, part)
    }
    // Nothing fitted: the largest part in the middle whose ratio is allowed.
    const w = Math.min(width, Math.round(height * ratio[1]))
    const h = Math.min(height, Math.round(width / ratio[0]))
    return stretched(image, size, {
      top: Math.floor((height - h) / 2),
      left: Math.floor((width - w) / 2),
      height: h,
      width: w,
    })
  }
}

/** Turned about the middle, counterclockwise. */
export function rotate(image: HostArray, degrees: number, fill = 0): Image {
  const { height, width } = imageOf('rotate', image)
  const angle = (degrees * Math.PI) / 180
  // Exact quarter turns are moves of whole pixels.
  const [cos, sin] =
    degrees % 90 === 0 ? [Math.round(Math.cos(angle)), Math.round(Math.sin(angle))] : [Math.cos(angle), Math.sin(angle)]
  const [cx, cy] = [(width - 1) / 2, (height - 1) / 2]
  return warp(image, { height, width }, [cos, -sin, cx - cos * cx + sin * cy, sin, cos, cy - sin * cx - cos * cy], fill)
}

/** Turned by at most `degrees` either way. */
export function randomRotation({
  degrees,
  fill = 0,
}: {
  readonly degrees: number
  readonly fill?: number
}): ImageTransform {
  numberIn('randomRotation', 'degrees', degrees, 0)
  return (image, random) => rotate(image, random.uniform(-degrees, degrees), fill)
}
