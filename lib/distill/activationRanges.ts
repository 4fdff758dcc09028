// Ranges of activations, from what a layer sees while examples pass through the model.
import { max, min } from '../ops/reduce.js'
import { ArgumentError } from '../runtime/errors.js'
import { sizeOf } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { Histogram } from './histogram.js'

/**
 * How a range is found: `minMax` all that was seen; `movingAverage` the batches' smallest and largest elements, averaged;
 * `percentile` all but the rarest; `mse` the range with the least squared error of the rounded elements.
 */
export type RangeMethod = 'minMax' | 'movingAverage' | 'percentile' | 'mse'
export const RANGE_METHODS: readonly RangeMethod[] = ['minMax', 'movingAverage', 'percentile', 'mse']

export interface RangeOptions {
  /** Default `mse`. */
  readonly range?: RangeMethod
  /** Of the elements that `percentile` keeps. Default 99.99. */
  readonly percentile?: number
}

/** From the smallest to the largest number that an integer stands for. */
export type Range = readonly [low: number, high: number]

/** Share of a new batch in `movingAverage`. */
const SHARE = 0.1

/** What one layer has seen of its input. */
export class Observation {
  /** The first batch, for comparisons. */
  sample: { readonly data: Float32Array; readonly shape: readonly number[] } | undefined
  private histogram: Histogram | undefined
  private seen: Range | undefined
  private readonly pending: Tensor[][] = []

  constructor(
    private readonly name: string,
    private readonly method: RangeMethod,
    private readonly percentile: number,
  ) {}

  /** Notes a batch; nothing is read before `settle`. */
  note(x: Tensor): void {
    if (sizeOf(x.shape) === 0) return
    const whole = this.method === 'percentile' || this.method === 'mse' || !this.sample
    this.pending.push(whole ? [x] : [min(x), max(x)])
  }

  /** Reads what was noted since the last call. */
  async settle(): Promise<void> {
    for (const tensors of this.pending.splice(0)) {
      const parts = (await Promise.all(tensors.map((tensor) => tensor.data()))) as Float32Array[]
      const data = parts.length === 1 ? (parts[0] as Float32Array) : Float32Array.from(parts, ([x]) => x as number)
      if (parts.length === 1) this.sample ??= { data, shape: (tensors[0] as Tensor).shape }
      this.take(data)
    }
  }

  /** The range, by the method. Throws `ArgumentError` where nothing was seen. */
  range(): Range {
    if (!this.seen)
      throw new ArgumentError(
        `quantize: ${this.name} saw no data, so its range is unknown; let the calibration reach it, or leave it out by \`except\``,
      )
    if (this.method === 'percentile') return (this.histogram as Histogram).percentile(this.percentile)
    if (this.method === 'mse') return (this.histogram as Histogram).leastError(this.seen)
    return this.seen
  }

  private take(data: Float32Array): void {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (const x of data) {
      if (x < low) low = x
      if (x > high) high = x
    }
    if (!data.every(Number.isFinite))
      throw new ArgumentError(`quantize: the input of ${this.name} has elements that are not finite`)
    const [before, after] = this.seen ?? [low, high]
    const averaged = this.method === 'movingAverage'
    this.seen = averaged
      ? [before + SHARE * (low - before), after + SHARE * (high - after)]
      : [Math.min(before, low), Math.max(after, high)]
    if (this.method !== 'percentile' && this.method !== 'mse') return
    this.histogram ??= new Histogram(Math.max(Math.abs(low), Math.abs(high)))
    this.histogram.add(data)
  }
}
