// A histogram that widens by itself, and the ranges for 8 bits that are read off it.
import type { Range } from './activationRanges.js'

const BINS = 8192
/** Ranges that `leastError` tries, from the whole one to a hundredth of it. */
const TRIALS = 100

export class Histogram {
  private readonly counts = new Float64Array(BINS)
  private limit: number

  /** Counts numbers from -limit to limit, and further ones once they come. */
  constructor(limit: number) {
    this.limit = limit > 0 ? limit : 1e-12
  }

  add(data: Float32Array): void {
    let largest = 0
    for (const x of data) largest = Math.max(largest, Math.abs(x))
    while (largest > this.limit) this.double()
    const scale = BINS / (2 * this.limit)
    for (const x of data) {
      const bin = Math.min(BINS - 1, Math.floor((x + this.limit) * scale))
      this.counts[bin] = (this.counts[bin] as number) + 1
    }
  }

  /** The range that leaves (100 - percentile) % of the elements out, half of it at either end. */
  percentile(percentile: number): Range {
    const total = this.counts.reduce((sum, count) => sum + count, 0)
    const outside = (total * (1 - percentile / 100)) / 2
    const end = (bins: Iterable<number>): number => {
      let sum = 0
      for (const bin of bins) {
        sum += this.counts[bin] as number
        if (sum > outside) return bin
      }
      return BINS / 2
    }
    const low = end(this.counts.keys())
    const high = end([...this.counts.keys()].reverse())
    return [this.edge(low), this.edge(high + 1)]
  }

  /** The range, a part of `seen` scaled towards 0, that u8 rounds with the least squared error. */
  leastError([low, high]: Range): Range {
    let best: Range = [low, high]
    let least = Number.POSITIVE_INFINITY
    for (let trial = TRIALS; trial > 0; trial--) {
      const range: Range = [Math.min(0, (low * trial) / TRIALS), Math.max(0, (high * trial) / TRIALS)]
      const error = this.error(range, least)
      if (error < least) {
        least = error
        best = range
      }
    }
    return best
  }

  /** Sum of squared errors of the bins' centres on the grid of a range; above `bound` it need not be exact. */
  private error([low, high]: Range, bound: number): number {
    const scale = (high - low) / 255
    if (!(scale > 0)) return Number.POSITIVE_INFINITY
    const zero = Math.round(-low / scale)
    let sum = 0
    for (let bin = 0; bin < BINS && sum <= bound; bin++) {
      const count = this.counts[bin] as number
      if (count === 0) continue
      const x = (this.edge(bin) + this.edge(bin + 1)) / 2
      const steps = Math.min(255, Math.max(0, Math.round(x / scale) + zero))
      sum += count * (x - (steps - zero) * scale) ** 2
    }
    return sum
  }

  private edge(bin: number): number {
    return (bin / BINS - 0.5) * 2 * this.limit
  }

  /** Twice the limit: pairs of bins become one, in the middle half. */
  private double(): void {
    const merged = new Float64Array(BINS)
    for (let bin = 0; bin < BINS; bin++) {
      const at = BINS / 4 + (bin >> 1)
      merged[at] = (merged[at] as number) + (this.counts[bin] as number)
    }
    this.counts.set(merged)
    this.limit *= 2
  }
}
