// Batches whose images and labels are mixed with one another: mixup and CutMix.
import { integerFrom, numberIn } from '../../ops/arguments.js'
import { ArgumentError } from '../../runtime/errors.js'
import type { HostBatch } from '../collate.js'
import type { Random } from '../philox.js'
import { type HostArray, isHostArray } from '../sample.js'

export interface MixOptions {
  /** Shares are drawn from Beta(alpha, alpha). Default 1 for CutMix, 0.2 for mixup. */
  readonly alpha?: number
  /** Number of classes; labels become f32 of [batch, classes]. */
  readonly classes: number
  /** The field of images, [batch, channels, height, width]. Default 'image'. */
  readonly image?: string
  /** The field of class numbers, [batch], or of their probabilities, [batch, classes]. Default 'label'. */
  readonly label?: string
}

function fieldOf(op: string, batch: HostBatch, name: string): HostArray {
  const field = batch[name]
  if (isHostArray(field)) return field
  throw new ArgumentError(`${op}: the batch has no array '${name}'; it has ${Object.keys(batch).join(', ')}`)
}

/** `share` of each sample's label and the rest of its partner's. */
function mixedLabels(op: string, label: HostArray, classes: number, partners: Uint32Array, share: number): HostArray {
  integerFrom(op, 'classes', classes, 1)
  const count = partners.length
  const own = new Float32Array(count * classes)
  if (label.shape.length === 2) own.set(label.data as Float32Array)
  else {
    Array.from(label.data as ArrayLike<number | bigint>, Number).forEach((place, at) => {
      if (Number.isInteger(place) && place >= 0 && place < classes) own[at * classes + place] = 1
      else
        throw new ArgumentError(
          `${op}: the label ${place} of sample ${at} of the batch is no class from 0 to ${classes - 1}`,
        )
    })
  }
  const data = own.map((value, i) => {
    const partner = partners[Math.floor(i / classes)] as number
    return share * value + (1 - share) * (own[partner * classes + (i % classes)] as number)
  })
  return { data, shape: [count, classes], dtype: 'f32' }
}

function imagesOf(op: string, batch: HostBatch, name: string): HostArray {
  const images = fieldOf(op, batch, name)
  if (images.shape.length === 4 && (images.dtype === 'u8' || images.dtype === 'f32')) return images
  throw new ArgumentError(
    `${op}: '${name}' is ${images.dtype}[${images.shape}], not images of u8 or f32 [batch, channels, height, width]`,
  )
}

/**
 * Each image and label blended with another of the batch (Zhang et al. 2018). For a loader's `collate`.
 *
 * @example collate: (samples, { random }) => mixup(collate(samples), { classes: 10 }, random)
 */
export function mixup(batch: HostBatch, options: MixOptions, random: Random): HostBatch {
  const { alpha = 0.2, classes, image = 'image', label = 'label' } = options
  numberIn('mixup', 'alpha', alpha, Number.MIN_VALUE)
  const images = imagesOf('mixup', batch, image)
  const count = images.shape[0] as number
  const partners = random.permutation(count)
  const share = random.beta(alpha, alpha)
  const source = images.data as Float32Array
  const size = source.length / count
  const rounds = images.dtype === 'u8'
  const data = source.map((value, i) => {
    const other = source[(partners[Math.floor(i / size)] as number) * size + (i % size)] as number
    const mixed = share * value + (1 - share) * other
    return rounds ? Math.round(mixed) : mixed
  })
  const labels = mixedLabels('mixup', fieldOf('mixup', batch, label), classes, partners, share)
  return { ...batch, [image]: { ...images, data }, [label]: labels }
}

/**
 * A rectangle of each image replaced by that of another of the batch, labels mixed by area (Yun et al. 2019). For a
 * loader's `collate`.
 */
export function cutmix(batch: HostBatch, options: MixOptions, random: Random): HostBatch {
  const { alpha = 1, classes, image = 'image', label = 'label' } = options
  numberIn('cutmix', 'alpha', alpha, Number.MIN_VALUE)
  const images = imagesOf('cutmix', batch, image)
  const [count, channels, height, width] = images.shape as [number, number, number, number]
  const partners = random.permutation(count)
  const side = Math.sqrt(1 - random.beta(alpha, alpha))
  const [y, x] = [random.integer(height), random.integer(width)]
  const edges = (center: number, extent: number): readonly [number, number] => {
    const half = Math.floor((extent * side) / 2)
    return [Math.max(0, center - half), Math.min(extent, center + half)]
  }
  const [top, bottom] = edges(y, height)
  const [left, right] = edges(x, width)
  const source = images.data as Float32Array
  const data = source.slice()
  for (let sample = 0; sample < count; sample++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let row = top; row < bottom; row++) {
        const at = (of: number): number => ((of * channels + channel) * height + row) * width
        const from = at(partners[sample] as number)
        data.set(source.subarray(from + left, from + right), at(sample) + left)
      }
    }
  }
  const share = 1 - ((bottom - top) * (right - left)) / (height * width)
  const labels = mixedLabels('cutmix', fieldOf('cutmix', batch, label), classes, partners, share)
  return { ...batch, [image]: { ...images, data }, [label]: labels }
}
