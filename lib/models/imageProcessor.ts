// Images as a model was trained to see them: size, crop and scale that preprocessor_config.json, or timm's config.json, says.
import { join } from 'node:path'
import type { HostArray, Image } from '../data/index.js'
import { listOf } from '../ops/arguments.js'
import { ArgumentError, PretrainedError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { formatShape } from '../schema/shape.js'
import { type Tensor, tensor } from '../tensor.js'
import { ConfigReader, type ModelConfig, readConfig } from './config.js'
import { download, type HubOptions } from './hub.js'
import { exists } from './hubCache.js'
import { middle, RESAMPLINGS, type Resampling, resample } from './resample.js'

interface Extents {
  readonly height: number
  readonly width: number
}

export interface ImageSettings {
  /** An image's size, or its shorter side, the proportions kept. Default: as it is. */
  readonly resize?: Extents | { readonly shortestEdge: number }
  /** Default bicubic. */
  readonly resampling?: Resampling
  /** The middle that is kept, black where the image does not reach. Default: all. */
  readonly crop?: Extents
  /** What u8 pixels are multiplied with. Default 1/255. */
  readonly factor?: number
  /** Taken off each channel, and what is left divided by. Default 0 and 1. */
  readonly mean?: readonly number[]
  readonly std?: readonly number[]
}

const square = (side: number): Extents => ({ height: side, width: side })

/** A u8 image [3,H,W], as `decodeImage` gives it, in f32 [3,height,width]. */
export class ImageProcessor {
  constructor(readonly settings: ImageSettings) {}

  /** One image. Throws `ArgumentError` for anything but u8 of [3,H,W]. */
  process(image: HostArray): Image {
    const { data, shape, dtype } = image ?? {}
    if (dtype !== 'u8' || !(data instanceof Uint8Array) || shape.length !== 3 || shape[0] !== 3)
      throw new ArgumentError(
        `ImageProcessor: it takes u8 of [3,H,W], as decodeImage gives it, not ${dtype ? `${dtype}${formatShape(shape)}` : describe(image)}`,
      )
    const { crop, factor = 1 / 255, mean = [0, 0, 0], std = [1, 1, 1] } = this.settings
    const sized = this.resized(image as Image)
    const shown = crop ? middle(sized, crop.height, crop.width) : sized
    const area = shown.data.length / 3
    const result = new Float32Array(shown.data.length)
    for (const [i, pixel] of shown.data.entries()) {
      const channel = Math.floor(i / area)
      result[i] = (pixel * factor - (mean[channel] as number)) / (std[channel] as number)
    }
    return { data: result, shape: shown.shape, dtype: 'f32' }
  }

  private resized(image: Image): Image {
    const { resize, resampling = 'bicubic' } = this.settings
    if (!resize) return image
    const [, height, width] = image.shape as readonly [number, number, number]
    if ('height' in resize) return resample(image, resize.height, resize.width, resampling)
    const { shortestEdge } = resize
    const long = Math.trunc((shortestEdge * Math.max(height, width)) / Math.min(height, width))
    return height < width
      ? resample(image, shortestEdge, long, resampling)
      : resample(image, long, shortestEdge, resampling)
  }

  /** Images as a batch [B,3,height,width]. Throws `ArgumentError` where they come out in several sizes. */
  batch(images: readonly HostArray[]): Tensor {
    const processed = listOf('ImageProcessor.batch', 'the images', images).map((image) => this.process(image))
    const shapes = new Set(processed.map(({ shape }) => formatShape(shape)))
    if (shapes.size !== 1)
      throw new ArgumentError(
        `ImageProcessor.batch: ${shapes.size === 0 ? 'there is no image' : `images come out as ${[...shapes].join(' and ')}; they need one size`}`,
      )
    const size = (processed[0] as Image).data.length
    const all = new Float32Array(processed.length * size)
    for (const [i, { data }] of processed.entries()) all.set(data, i * size)
    return tensor(all, { shape: [processed.length, ...(processed[0] as Image).shape] })
  }

  /**
   * What a folder, or the model of that name at the hub (see `download`), says in preprocessor_config.json, or in timm's
   * config.json. Throws `PretrainedError` where it says nothing, or nothing that is known.
   */
  static async fromPretrained(name: string, options: HubOptions = {}): Promise<ImageProcessor> {
    const folder = await download(name, options)
    const file = join(folder, 'preprocessor_config.json')
    if (await exists(file)) return new ImageProcessor(settingsOf(file, await readConfig(file)))
    const config = join(folder, 'config.json')
    const given = new ConfigReader(config, await readConfig(config)).record('pretrained_cfg')
    if (given) return new ImageProcessor(timmSettings(config, given))
    throw new PretrainedError(
      `ImageProcessor: ${folder} has no preprocessor_config.json, and no pretrained_cfg in its config.json`,
    )
  }
}

/** Three numbers. */
function threeOf(reader: ConfigReader, config: ModelConfig, name: string, otherwise: number): readonly number[] {
  const value = config[name] ?? [otherwise, otherwise, otherwise]
  if (Array.isArray(value) && value.length === 3 && value.every((x) => typeof x === 'number' && Number.isFinite(x)))
    return value
  throw reader.error(name, 'a list of three numbers')
}

/** { height, width }, { shortest_edge }, or one number, which old files have: for both, or for the shorter side. */
function sizeOf(
  reader: ConfigReader,
  config: ModelConfig,
  name: string,
  isSquare: boolean,
): Extents | { readonly shortestEdge: number } {
  const value = config[name]
  if (typeof value === 'number') {
    const side = reader.integer(name, 224)
    return isSquare ? square(side) : { shortestEdge: side }
  }
  const record = reader.record(name) ?? {}
  const inner = new ConfigReader(`ImageProcessor: ${name}`, record)
  if (record['shortest_edge'] !== undefined && record['longest_edge'] === undefined)
    return { shortestEdge: inner.integer('shortest_edge', 224) }
  if (record['height'] !== undefined)
    return { height: inner.integer('height', 224), width: inner.integer('width', 224) }
  throw reader.error(name, 'a number, { height, width } or { shortest_edge }')
}

function settingsOf(file: string, config: ModelConfig): ImageSettings {
  const reader = new ConfigReader(file, config)
  const kind = String(config['image_processor_type'] ?? config['feature_extractor_type'] ?? '')
  const convnext = kind.startsWith('ConvNext')
  const clip = kind.startsWith('CLIP')
  const crops = reader.boolean('do_center_crop', clip)
  const resampling = RESAMPLINGS[reader.integer('resample', clip ? 3 : 2, 0, RESAMPLINGS.length - 1)] as Resampling
  const size = reader.boolean('do_resize', true) ? sizeOf(reader, config, 'size', !crops && !convnext) : undefined
  const normal = reader.boolean('do_normalize', true)
  return {
    resampling,
    ...shapes(reader, config, size, { convnext, crops }),
    factor: reader.boolean('do_rescale', true) ? reader.number('rescale_factor', 1 / 255) : 1,
    mean: normal ? threeOf(reader, config, 'image_mean', 0.5) : [0, 0, 0],
    std: normal ? threeOf(reader, config, 'image_std', 0.5) : [1, 1, 1],
  }
}

function shapes(
  reader: ConfigReader,
  config: ModelConfig,
  size: Extents | { readonly shortestEdge: number } | undefined,
  { convnext, crops }: { readonly convnext: boolean; readonly crops: boolean },
): Pick<ImageSettings, 'resize' | 'crop'> {
  if (convnext && size && 'shortestEdge' in size) {
    // ConvNeXt's processors, which ResNet has too, cut small images out of larger ones, and stretch large ones.
    const { shortestEdge } = size
    if (shortestEdge >= 384) return { resize: square(shortestEdge) }
    const share = reader.number('crop_pct', 224 / 256, 0.01, 1)
    return { resize: { shortestEdge: Math.trunc(shortestEdge / share) }, crop: square(shortestEdge) }
  }
  if (!crops) return size ? { resize: size } : {}
  const crop = sizeOf(reader, config, 'crop_size', true)
  if (!('height' in crop)) throw reader.error('crop_size', 'a number or { height, width }')
  return { crop, ...(size ? { resize: size } : {}) }
}

/** As timm evaluates: the middle of an image that is larger by 1 / crop_pct. */
function timmSettings(file: string, config: ModelConfig): ImageSettings {
  const reader = new ConfigReader(file, config)
  const [channels, height, width] = reader.integers('input_size', [3, 224, 224])
  if (channels !== 3 || height === undefined || height !== width)
    throw reader.error('input_size', 'a list [3, size, size]')
  reader.oneOf('crop_mode', ['center'], 'center')
  return {
    resize: { shortestEdge: Math.floor(height / reader.number('crop_pct', 0.875, 0.01, 1)) },
    resampling: reader.oneOf('interpolation', ['bilinear', 'bicubic', 'nearest', 'lanczos'], 'bilinear'),
    crop: square(height),
    mean: threeOf(reader, config, 'mean', 0.5),
    std: threeOf(reader, config, 'std', 0.5),
  }
}
