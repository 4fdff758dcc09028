// A learning rate that falls when a metric no longer gets better; decided on the host, between steps.
import { integerFrom, numberIn, oneOf } from '../ops/arguments.js'
import { ArgumentError, StateDictError } from '../runtime/errors.js'
import type { StateDict } from '../state.js'
import type { Optimizer } from './optimizer.js'

export interface PlateauOptions {
  /** Whether the metric should fall (`min`, default) or rise. */
  readonly mode?: 'min' | 'max'
  /** What the rate is multiplied with, from 0 to below 1. Default 0.1. */
  readonly factor?: number
  /** So many metrics in a row may be no better than the best before the rate falls. Default 10. */
  readonly patience?: number
  /** How much better than the best counts: a share of it (`relative`, default) or as it is. Default 1e-4. */
  readonly threshold?: number
  readonly thresholdMode?: 'relative' | 'absolute'
  /** After a fall so many metrics are not counted. Default 0. */
  readonly cooldown?: number
  /** The rate stays at or above it. Default 0. */
  readonly minLr?: number
  /** A fall by no more than this is left out. Default 1e-8. */
  readonly eps?: number
}

/**
 * Multiplies an optimizer's learning rate, which must be a number, with `factor` once `step` was told more than `patience`
 * metrics in a row that are no better than the best, as torch.optim.lr_scheduler.ReduceLROnPlateau. Compiled steps are not
 * traced again. Throws `ArgumentError` for options out of range.
 */
export class ReduceOnPlateau {
  private readonly settings: Required<PlateauOptions>
  private best: number
  private bad = 0
  private resting = 0

  constructor(
    private readonly optimizer: Optimizer,
    options: PlateauOptions = {},
  ) {
    const name = 'ReduceOnPlateau'
    const settings = {
      mode: 'min',
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      thresholdMode: 'relative',
      cooldown: 0,
      minLr: 0,
      eps: 1e-8,
      ...options,
    } as const
    oneOf(name, 'mode', settings.mode, ['min', 'max'])
    oneOf(name, 'thresholdMode', settings.thresholdMode, ['relative', 'absolute'])
    if (numberIn(name, 'factor', settings.factor, 0, 1) === 1)
      throw new ArgumentError(`${name}: factor must be below 1, or the rate never falls`)
    integerFrom(name, 'patience', settings.patience, 0)
    integerFrom(name, 'cooldown', settings.cooldown, 0)
    for (const key of ['threshold', 'minLr', 'eps'] as const) numberIn(name, key, settings[key], 0)
    this.settings = settings
    this.best = this.worst
    this.rate()
  }

  private get worst(): number {
    return this.settings.mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  }

  private rate(): number {
    const { lr } = this.optimizer
    if (typeof lr === 'number') return lr
    throw new ArgumentError('ReduceOnPlateau: the optimizer follows a schedule; give it a number as its lr')
  }

  private better(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.settings
    const sign = mode === 'min' ? -1 : 1
    if (thresholdMode === 'absolute') return sign * (metric - this.best) > threshold
    // As PyTorch does it: for negative metrics the share makes it easier, not harder.
    const bound = this.best * (1 + sign * threshold)
    return mode === 'min' ? metric < bound : metric > bound
  }

  /** Tells it the next metric, of an epoch for example. Returns whether the rate fell; NaN is no better than anything. */
  step(metric: number): boolean {
    if (typeof metric !== 'number')
      throw new ArgumentError(`ReduceOnPlateau: the metric is a number, not ${typeof metric}; await its item() first`)
    const { factor, patience, cooldown, minLr, eps } = this.settings
    if (this.better(metric)) {
      this.best = metric
      this.bad = 0
    } else this.bad++
    if (this.resting > 0) {
      this.resting--
      this.bad = 0
    }
    if (this.bad <= patience) return false
    this.bad = 0
    this.resting = cooldown
    const rate = this.rate()
    const next = Math.max(rate * factor, minLr)
    if (rate - next <= eps) return false
    this.optimizer.lr = next
    return true
  }

  /** The best metric and the two counts. The rate itself is in the optimizer's state. */
  stateDict(): StateDict {
    return { plateau: { data: Float64Array.of(this.best, this.bad, this.resting), shape: [3], dtype: 'f64' } }
  }

  /** The reverse. Throws `StateDictError`. */
  loadStateDict(state: StateDict): void {
    const data = state['plateau']?.data
    if (data?.length !== 3)
      throw new StateDictError('loadStateDict: a plateau has { plateau: [best, bad, resting] }; nothing was loaded')
    const [best, bad, resting] = Array.from(data as ArrayLike<number>, Number) as [number, number, number]
    Object.assign(this, { best, bad, resting })
  }
}
