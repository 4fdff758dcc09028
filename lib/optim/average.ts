// An exponential moving average of parameters, for evaluation.
import { assign, Cell, Parameter } from '../cell.js'
import { currentTrace } from '../graph/trace.js'
import { numberIn } from '../ops/arguments.js'
import { zeros } from '../ops/create.js'
import { add, cast, div, minimum, mul, sub } from '../ops/element.js'
import { statisticOf } from '../ops/norm.js'
import { ArgumentError, TraceError } from '../runtime/errors.js'
import { loadInto, readState, type StateDict } from '../state.js'

export interface AverageOptions {
  /** Share of the average that stays at an update, from 0 to 1. Default 0.999. */
  readonly decay?: number
  /** Update number n, from 0, takes the decay min(decay, (1 + n) / (10 + n)), so that the first values weigh less. Default false. */
  readonly warmup?: boolean
}

/**
 * Keeps average = decay average + (1 - decay) parameter, starting with the parameters, in f32 (f64 for f64). Call
 * `update` after the optimizer's step, inside the compiled function or outside; `swap` before evaluation and `restore`
 * after it. Throws `ArgumentError` for options out of range or without parameters.
 */
export class ExponentialMovingAverage {
  private readonly parameters: readonly Parameter[]
  private readonly averages: readonly Cell[]
  private readonly updates: Cell<'i64'>
  private readonly decay: number
  private readonly warmup: boolean
  /** The parameters' own values while the averages are in their place. */
  private kept: readonly Cell[] | undefined

  constructor(parameters: Iterable<Parameter>, options: AverageOptions = {}) {
    const name = 'ExponentialMovingAverage'
    const { decay = 0.999, warmup = false } = options
    this.decay = numberIn(name, 'decay', decay, 0, 1)
    this.warmup = warmup
    this.parameters = [...parameters]
    if (this.parameters.length === 0) throw new ArgumentError(`${name}: there are no parameters to average`)
    for (const parameter of this.parameters) {
      if (!(parameter instanceof Parameter)) {
        throw new ArgumentError(`${name}: it takes parameters, not ${String(parameter)}`)
      }
    }
    this.averages = this.parameters.map(
      (parameter) =>
        new Cell(cast(parameter, statisticOf(parameter.dtype)), { name: `average of ${parameter.state.label}` }),
    )
    this.updates = new Cell(zeros([], { dtype: 'i64' }), { name: `${name} updates` })
  }

  /** Takes the parameters' present values in; inside a compiled function those assigned so far. Throws while swapped. */
  update(): void {
    // So that a step compiled before is traced again, and refused, while the averages are in the parameters.
    const swapped = (): boolean => this.kept !== undefined
    currentTrace()?.relyOn(this, 'swapped', swapped(), swapped)
    if (this.kept) throw new ArgumentError('update: the averages are in the parameters; call restore first')
    const count = cast(this.updates, 'f64')
    const decay = minimum(div(add(count, 1), add(count, 10)), this.decay)
    const next = this.parameters.map((parameter, i) => {
      const average = this.averages[i] as Cell
      const value = cast(parameter, average.dtype)
      const share = this.warmup ? cast(sub(1, decay), average.dtype) : 1 - this.decay
      return [average, add(average, mul(sub(value, average), share))] as const
    })
    assign([[this.updates, add(this.updates, 1)], ...next])
  }

  /** Puts the averages in the parameters' place, until `restore`. */
  swap(): void {
    this.outside('swap')
    if (this.kept) throw new ArgumentError('swap: the averages are in the parameters already')
    this.kept = this.parameters.map((parameter) => new Cell(parameter, { name: `kept ${parameter.state.label}` }))
    assign(this.parameters.map((parameter, i) => [parameter, cast(this.averages[i] as Cell, parameter.dtype)]))
  }

  /** Gives the parameters back the values they had before `swap`. */
  restore(): void {
    this.outside('restore')
    if (!this.kept) throw new ArgumentError('restore: the averages are not in the parameters; call swap first')
    const kept = this.kept
    assign(this.parameters.map((parameter, i) => [parameter, kept[i] as Cell]))
    this.kept = undefined
    for (const cell of kept) cell.dispose()
  }

  private outside(what: string): void {
    if (currentTrace())
      throw new TraceError(`${what}: it can not be called inside a compiled function; call it between steps`)
  }

  private cells(): (readonly [string, Cell])[] {
    return [['updates', this.updates], ...this.averages.map((cell, i) => [`average.${i}`, cell] as const)]
  }

  /** Every average by its position, and how many updates there were. */
  stateDict(): Promise<StateDict> {
    return readState(this.cells())
  }

  /** The reverse. Throws `StateDictError` before anything is changed. */
  loadStateDict(state: StateDict): void {
    loadInto(this.cells(), state, true)
  }
}
