// Event-loop delay: how much later than it should a timer fires, while training and while idle.
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** Two histograms, of which one runs at a time. */
export class DelayMeter {
  private readonly histograms: Readonly<Record<'idle' | 'busy', IntervalHistogram>>

  /** The timer fires every so many milliseconds, which takes a little of the processor each time. */
  constructor(private readonly resolutionMs = 1) {
    const histogram = (): IntervalHistogram => monitorEventLoopDelay({ resolution: resolutionMs })
    this.histograms = { idle: histogram(), busy: histogram() }
  }

  /** From now on delays count as those of `phase`; undefined: of none. */
  enter(phase: 'idle' | 'busy' | undefined): void {
    this.histograms.idle.disable()
    this.histograms.busy.disable()
    if (phase) this.histograms[phase].enable()
  }

  /** The 99th percentile in milliseconds, less the timer's own interval. */
  p99(phase: 'idle' | 'busy'): number {
    const histogram: IntervalHistogram = this.histograms[phase]
    return Math.max(0, histogram.percentile(99) / 1e6 - this.resolutionMs)
  }
}
