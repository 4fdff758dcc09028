// Early stopping: the end of a training that no longer gets better, by one of its figures.
import { integerFrom, numberIn, oneOf, optionsOf } from '../ops/arguments.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'

export interface EarlyStoppingOptions {
  /** The figure, such as `validation/loss` or `validation/accuracy`. Default `validation/loss`. */
  readonly monitor?: string
  /** Whether it should fall or rise. Default `min`. */
  readonly mode?: 'min' | 'max'
  /** So many figures in a row may be no better than the best. Default 5. */
  readonly patience?: number
  /** By how much a figure must be better than the best. Default 0. */
  readonly minDelta?: number
  /** Gives the model the parameters of its best figure at the end. Default true. */
  readonly restoreBest?: boolean
}

/** What it has seen; plain JSON for a checkpoint. */
export interface EarlyStoppingState {
  readonly best: number | null
  readonly bestStep: number
  readonly bad: number
}

/** Decides figure by figure. What is not finite is never better (Prechelt 1998 compares ways to decide). */
export class EarlyStopping {
  readonly monitor: string
  readonly restoreBest: boolean
  private readonly sign: 1 | -1
  private readonly patience: number
  private readonly minDelta: number
  private best: number | undefined
  private step = 0
  private bad = 0

  constructor(options: EarlyStoppingOptions = {}) {
    const name = 'earlyStopping'
    const {
      monitor = 'validation/loss',
      mode = 'min',
      patience = 5,
      minDelta = 0,
      restoreBest = true,
    } = optionsOf(name, options)
    if (typeof monitor !== 'string' || monitor === '')
      throw new ArgumentError(`${name}: monitor is the name of a figure, not ${describe(monitor)}`)
    this.monitor = monitor
    this.sign = oneOf(name, 'mode', mode, ['min', 'max']) === 'min' ? -1 : 1
    this.patience = integerFrom(name, 'patience', patience, 0)
    this.minDelta = numberIn(name, 'minDelta', minDelta, 0)
    this.restoreBest = restoreBest
  }

  /** The best figure and its step; undefined before the first. */
  get bestSoFar(): { readonly value: number; readonly step: number } | undefined {
    return this.best === undefined ? undefined : { value: this.best, step: this.step }
  }

  /** Whether as many figures as patience allows, and one more, were no better than the best. */
  get exhausted(): boolean {
    return this.bad > this.patience
  }

  /** Takes the figures of a step; gives whether the monitored one is the best so far. Others pass by. */
  update(step: number, figures: Readonly<Record<string, number>>): boolean {
    const value = figures[this.monitor]
    if (value === undefined) return false
    const better =
      Number.isFinite(value) && (this.best === undefined || this.sign * (value - this.best) > this.minDelta)
    if (!better) {
      this.bad++
      return false
    }
    this.best = value
    this.step = step
    this.bad = 0
    return true
  }

  state(): EarlyStoppingState {
    return { best: this.best ?? null, bestStep: this.step, bad: this.bad }
  }

  load({ best, bestStep, bad }: EarlyStoppingState): void {
    this.best = best ?? undefined
    this.step = bestStep
    this.bad = bad
  }
}
