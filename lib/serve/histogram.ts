// A histogram with fixed bounds, as Prometheus and OpenTelemetry have them.

/** Seconds, from a tenth of a millisecond to ten seconds, by factors of about two. */
export const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const

export class Histogram {
  /** How many values were at most the bound at the same place, and above the one before; the last: above all. */
  readonly counts: number[]
  sum = 0
  count = 0
  private readonly listeners = new Set<(value: number) => void>()

  /** Upper bounds, rising. */
  constructor(readonly bounds: readonly number[]) {
    this.counts = new Array(bounds.length + 1).fill(0)
  }

  record(value: number): void {
    let place = 0
    while (place < this.bounds.length && value > (this.bounds[place] as number)) place++
    this.counts[place] = (this.counts[place] as number) + 1
    this.sum += value
    this.count++
    for (const listener of this.listeners) listener(value)
  }

  /** Calls back with every value from now on; gives what ends that. */
  listen(listener: (value: number) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** The value that a share of all is not above, interpolated within its bounds; 0 where there is none. */
  quantile(share: number): number {
    const rank = share * this.count
    let before = 0
    for (const [place, count] of this.counts.entries()) {
      const upper = this.bounds[place]
      if (before + count >= rank && count > 0) {
        const lower = place === 0 ? 0 : (this.bounds[place - 1] as number)
        return upper === undefined ? lower : lower + ((upper - lower) * (rank - before)) / count
      }
      before += count
    }
    return 0
  }
}
