// Images from files and bytes, by sharp: decoded, turned upright, resized, as u8 of [channels, height, width].
import { fileURLToPath } from 'node:url'
import { integerFrom, oneOf, optionsOf } from '../../ops/arguments.js'
import { ArgumentError, DataError } from '../../runtime/errors.js'
import { describe } from '../../schema/describe.js'
import { load } from '../optional.js'
import type { Image } from './pixels.js'

export interface DecodeOptions {
  /** Default: that of the image, or what keeps its proportions where the other is given. */
  readonly width?: number
  readonly height?: number
  /** Where both are given: cut to fit, surrounded by black, or stretched. Default 'cover'. */
  readonly fit?: 'cover' | 'contain' | 'fill'
  /** 1 for grey, 3 for RGB (default), 4 with opacity. */
  readonly channels?: 1 | 3 | 4
  /** Larger images are an error, whatever their file says. Default 2^26 pixels. */
  readonly maxPixels?: number
}

/** An image file (JPEG, PNG, WebP, GIF, AVIF, TIFF, SVG) or its bytes. Needs sharp. Throws `DataError`. */
export async function decodeImage(source: string | URL | Uint8Array, options: DecodeOptions = {}): Promise<Image> {
  const { width, height, fit = 'cover', channels = 3, maxPixels = 2 ** 26 } = optionsOf('decodeImage', options)
  for (const [name, extent] of Object.entries({ width, height }))
    if (extent !== undefined) integerFrom('decodeImage', name, extent, 1)
  oneOf('decodeImage', 'fit', fit, ['cover', 'contain', 'fill'])
  if (channels !== 1 && channels !== 3 && channels !== 4)
    throw new ArgumentError(`decodeImage: channels must be 1, 3 or 4, not ${String(channels)}`)
  if (typeof source !== 'string' && !(source instanceof URL) && !(source instanceof Uint8Array)) {
    throw new ArgumentError(`decodeImage: it takes a path, a file URL or bytes, not ${describe(source)}`)
  }
  const sharp = (await load('decodeImage', 'sharp')) as typeof import('sharp').default
  const file = source instanceof URL ? fileURLToPath(source) : typeof source === 'string' ? source : undefined
  const size = { ...(width === undefined ? {} : { width }), ...(height === undefined ? {} : { height }) }
  try {
    // Turned upright by what the camera noted.
    let image = sharp(file ?? (source as Uint8Array), { limitInputPixels: maxPixels }).rotate()
    if (width !== undefined || height !== undefined)
      image = image.resize({ ...size, fit, background: { r: 0, g: 0, b: 0, alpha: 1 } })
    image = channels === 4 ? image.toColourspace('srgb').ensureAlpha() : image.removeAlpha()
    image = channels === 1 ? image.toColourspace('b-w') : image.toColourspace('srgb')
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
    if (info.channels !== channels) throw new Error(`it has ${info.channels} channels`)
    return { data: planes(data, channels), shape: [channels, info.height, info.width], dtype: 'u8' }
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    const code = /pixel limit/i.test(message)
      ? 'tooLarge'
      : /missing|no such file/i.test(message)
        ? 'unreadable'
        : 'malformed'
    throw new DataError(
      `decodeImage: ${file ?? 'the image'} can not be read: ${message}`,
      code,
      file === undefined ? {} : { file },
      { cause },
    )
  }
}

/** From one pixel after the other to one channel after the other. */
function planes(pixels: Uint8Array, channels: number): Uint8Array {
  const area = pixels.length / channels
  const data = new Uint8Array(pixels.length)
  for (let channel = 0; channel < channels; channel++) {
    for (let at = 0; at < area; at++) data[channel * area + at] = pixels[at * channels + channel] as number
  }
  return data
}
