// Samplers: in which order an epoch takes the samples, alone or in ready-made batches.
import { integerFrom } from '../ops/arguments.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Random } from './philox.js'

/** Says which samples an epoch takes, in order; all its randomness comes from the stream of the epoch. */
export interface Sampler {
  /** Samples per epoch. */
  readonly length: number
  order(random: Random): ArrayLike<number>
}

/** Says which samples each batch of an epoch takes. */
export interface BatchSampler {
  /** Batches per epoch. */
  readonly length: number
  batches(random: Random): readonly ArrayLike<number>[]
}

/**
 * `count` samples per epoch (default: as many as there are weights), each drawn with a probability in proportion to its
 * weight. Without replacement no sample comes twice (Efraimidis and Spirakis 2006). Throws `ArgumentError` for weights that
 * are no finite numbers from 0 up, or too few above 0.
 */
export function weightedSampler(
  weights: ArrayLike<number>,
  options: { readonly count?: number; readonly replacement?: boolean } = {},
): Sampler {
  const { count = weights.length, replacement = true } = options
  const list = Float64Array.from(weights)
  integerFrom('weightedSampler', 'the count', count, 1)
  const wrong = list.findIndex((weight) => !(weight >= 0 && Number.isFinite(weight)))
  if (wrong !== -1) {
    throw new ArgumentError(
      `weightedSampler: the weight ${list[wrong]} of sample ${wrong} is no finite number from 0 up`,
    )
  }
  const positive = list.filter((weight) => weight > 0).length
  if (positive === 0 || (!replacement && positive < count)) {
    throw new ArgumentError(`weightedSampler: ${positive} weights above 0 are not enough for ${count} draws`)
  }
  if (!replacement) {
    return {
      length: count,
      order(random) {
        // The largest of u^(1/w), as logarithms.
        const keys = list.map((weight) =>
          weight === 0 ? Number.NEGATIVE_INFINITY : Math.log(1 - random.uniform()) / weight,
        )
        const order = Uint32Array.from(keys, (_, index) => index)
        return order.sort((a, b) => (keys[b] as number) - (keys[a] as number) || a - b).slice(0, count)
      },
    }
  }
  const sums = new Float64Array(list.length)
  let total = 0
  for (let i = 0; i < list.length; i++) sums[i] = total += list[i] as number
  return {
    length: count,
    order: (random) => Uint32Array.from({ length: count }, () => firstAbove(sums, random.uniform(0, total))),
  }
}

/** The first index whose sum is above `target`: never one whose weight is 0. */
function firstAbove(sums: Float64Array, target: number): number {
  let low = 0
  let high = sums.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sums[middle] as number) > target) high = middle
    else low = middle + 1
  }
  // Rounding may leave the target at the total itself; the last sample with a weight is meant.
  while (low > 0 && sums[low] === sums[low - 1]) low--
  return low
}

export interface BucketOptions {
  readonly batchSize: number
  /** Batches are cut from runs of this many batches, sorted by length: more is less padding and less mixing. Default 50. */
  readonly batchesPerBucket?: number
  /** Mixes samples before they are put into buckets, and batches afterwards. Default true. */
  readonly shuffle?: boolean
  /** Leaves out the last batch where it is not full. Default false. */
  readonly dropLast?: boolean
}

/** Batches of samples of similar length, so that little of them is padding. Throws `ArgumentError`. */
export function bucketSampler(lengths: ArrayLike<number>, options: BucketOptions): BatchSampler {
  const { batchSize, batchesPerBucket = 50, shuffle = true, dropLast = false } = options
  integerFrom('bucketSampler', 'batchSize', batchSize, 1)
  integerFrom('bucketSampler', 'batchesPerBucket', batchesPerBucket, 1)
  const list = Float64Array.from(lengths)
  const wrong = list.findIndex((length) => !(length >= 0))
  if (wrong !== -1)
    throw new ArgumentError(`bucketSampler: the length ${list[wrong]} of sample ${wrong} is no number from 0 up`)
  const full = Math.floor(list.length / batchSize)
  return {
    length: dropLast ? full : Math.ceil(list.length / batchSize),
    batches(random) {
      const order = shuffle ? random.permutation(list.length) : Uint32Array.from(list, (_, index) => index)
      const batches: Uint32Array[] = []
      const width = batchSize * batchesPerBucket
      for (let start = 0; start < order.length; start += width) {
        const bucket = order
          .slice(start, start + width)
          .sort((a, b) => (list[a] as number) - (list[b] as number) || a - b)
        for (let at = 0; at < bucket.length; at += batchSize) batches.push(bucket.slice(at, at + batchSize))
      }
      if (dropLast && batches.length > full) batches.pop()
      return shuffle ? Array.from(random.permutation(batches.length), (at) => batches[at] as Uint32Array) : batches
    },
  }
}
