// What image transforms share: images as [channels, height, width], checked, and values put back into range.
import { ArgumentError } from '../../runtime/errors.js'
import { describe } from '../../schema/describe.js'
import { formatShape } from '../../schema/shape.js'
import type { Random } from '../philox.js'
import { type HostArray, isHostArray } from '../sample.js'

/** An image of [channels, height, width]: u8 from 0 to 255, or f32 where 0 is black and 1 is white. */
export interface Image extends HostArray {
  readonly data: Uint8Array | Float32Array
  readonly dtype: 'u8' | 'f32'
}

/** A change of an image whose randomness comes from `random` alone; the image itself stays as it is. */
export type ImageTransform = (image: HostArray, random: Random) => Image

/** The image and its extents. Throws `ArgumentError` for anything else. */
export function imageOf(
  op: string,
  candidate: HostArray,
): { readonly image: Image; readonly channels: number; readonly height: number; readonly width: number } {
  if (!isHostArray(candidate))
    throw new ArgumentError(`${op}: an image is { data, shape, dtype }, not ${describe(candidate)}`)
  const { data, shape, dtype } = candidate
  const fits = (dtype === 'u8' && data instanceof Uint8Array) || (dtype === 'f32' && data instanceof Float32Array)
  const [channels, height, width] = shape
  if (
    fits &&
    channels !== undefined &&
    height !== undefined &&
    width !== undefined &&
    shape.length === 3 &&
    data.length === channels * height * width
  ) {
    return { image: candidate as Image, channels, height, width }
  }
  throw new ArgumentError(
    `${op}: an image is u8 or f32 of [channels, height, width], not ${dtype}${formatShape(shape)} with ${data.length} elements`,
  )
}

/** White. */
export const whiteOf = ({ dtype }: Image): number => (dtype === 'u8' ? 255 : 1)

export const emptyLike = (image: Image, shape: readonly number[]): Image => {
  const size = shape.reduce((product, extent) => product * extent, 1)
  return { data: image.dtype === 'u8' ? new Uint8Array(size) : new Float32Array(size), shape, dtype: image.dtype }
}

/** A value as the image holds it: u8 rounded and clamped, f32 clamped to [0, 1]. */
export const clamped = (value: number, white: number): number => {
  const inside = Math.max(0, Math.min(value, white))
  return white === 255 ? Math.round(inside) : inside
}

/** Transforms one after the other, with the same stream of random numbers. */
export function compose(...transforms: readonly ImageTransform[]): ImageTransform {
  return (image, random) =>
    transforms.reduce<Image>((current, transform) => transform(current, random), imageOf('compose', image).image)
}
