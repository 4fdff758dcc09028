// What all optimizers share: groups of parameters, their state, the learning rate, and one step as one assignment.
import { assign, Cell, Parameter } from '../cell.js'
import { withPrecision } from '../graph/precision.js'
import { currentTrace } from '../graph/trace.js'
import { numberIn } from '../ops/arguments.js'
import { full, zeros } from '../ops/create.js'
import { add, cast, mul, where } from '../ops/element.js'
import { Gradients } from '../ops/gradient.js'
import { statisticOf } from '../ops/norm.js'
import type { StepScalars, StepTensors, Updated } from '../ops/optimizer.js'
import { ArgumentError, GradientError } from '../runtime/errors.js'
import { loadInto, readState, type StateDict, type StateOptions } from '../state.js'
import type { Tensor } from '../tensor.js'
import { ScaledGradients } from './clip.js'
import type { Schedule } from './schedule.js'

/** Parameters with settings of their own. */
export interface ParameterGroup {
  readonly parameters: Iterable<Parameter>
  /** Factor of the optimizer's learning rate. Default 1. */
  readonly lrFactor?: number
  /** Default: the optimizer's. */
  readonly weightDecay?: number
}

export interface OptimizerOptions {
  /** The learning rate: a number, which may be set anew between steps, or a schedule. */
  readonly lr: number | Schedule
  readonly weightDecay?: number
  /** How many steps there will be, for schedules that need to know. */
  readonly totalSteps?: number
}

/** What an optimizer keeps for one parameter, by name. */
export type State = Readonly<Record<string, Tensor>>

/** One parameter in one step, with its gradient as it came and its state; or the two values after the step. */
export interface Slot {
  readonly parameter: Tensor
  readonly gradient: Tensor
  readonly state: State
}
export interface NextSlot extends Omit<Slot, 'gradient'> {
  /** Whether the values are the old ones already where the step does not apply; else the optimizer sees to that. */
  readonly conditional?: boolean
}

interface Group {
  readonly parameters: readonly Parameter[]
  readonly lrFactor: number
  readonly weightDecay: number
  /** What is kept for each of the parameters, by name. */
  readonly states: readonly Readonly<Record<string, Cell>>[]
}

/** State that starts with zeros: f32 (f64 for f64) of the parameter's shape. */
export const zeroState =
  (...names: readonly string[]) =>
  ({ shape, dtype }: Parameter): State =>
    Object.fromEntries(names.map((name) => [name, zeros(shape, { dtype: statisticOf(dtype) })]))

/** Slots that a kernel takes all at once, with the step's condition, their state in the order of `names`. */
export function together(
  slots: readonly Slot[],
  names: readonly string[],
  run: (tensors: StepTensors) => Updated,
): readonly NextSlot[] {
  const { parameters, states } = run({
    parameters: slots.map((slot) => slot.parameter),
    gradients: slots.map((slot) => slot.gradient),
    states: names.map((name) => slots.map((slot) => slot.state[name] as Tensor)),
  })
  return slots.map((_, i) => ({
    parameter: parameters[i] as Tensor,
    state: Object.fromEntries(names.map((name, kind) => [name, states[kind]?.[i] as Tensor])),
    conditional: true,
  }))
}

export abstract class Optimizer {
  private readonly groups: readonly Group[]
  /** Steps done so far. */
  private readonly done: Cell<'i64'>
  private readonly rate: Cell<'f64'>
  private schedule: number | Schedule
  /** How many steps there will be, for schedules that need to know; setting it traces compiled steps again. */
  totalSteps: number | undefined

  protected constructor(
    private readonly name: string,
    parameters: Iterable<Parameter> | Iterable<ParameterGroup>,
    options: OptimizerOptions,
    /** What it starts with for a parameter. */
    stateOf: (parameter: Parameter) => State,
  ) {
    const { lr, weightDecay = 0, totalSteps } = options
    numberIn(name, 'weightDecay', weightDecay, 0)
    this.schedule = this.checkRate(lr)
    this.totalSteps = totalSteps
    this.groups = groupsOf(name, parameters, weightDecay, stateOf)
    this.done = new Cell(zeros([], { dtype: 'i64' }), { name: `${name} step` })
    this.rate = new Cell(full([], typeof lr === 'number' ? lr : 0, { dtype: 'f64' }), { name: `${name} learning rate` })
  }

  /** The parameters and the state of a group after a step; what is missing from a state stays as it is. */
  protected abstract update(scalars: StepScalars, slots: readonly Slot[], weightDecay: number): readonly NextSlot[]

  private checkRate(lr: number | Schedule): number | Schedule {
    return typeof lr === 'function' ? lr : numberIn(this.name, 'lr', lr, 0)
  }

  /** The learning rate or the schedule that was last set. */
  get lr(): number | Schedule {
    return this.schedule
  }

  /** A number takes effect with the next step and no new trace; a schedule, or a number after one, traces again. */
  set lr(lr: number | Schedule) {
    this.checkRate(lr)
    if (typeof lr === 'number') this.rate.write(Float64Array.of(lr))
    this.schedule = lr
  }

  /** The learning rate of the next step, f64[]; inside a compiled function it follows the schedule. */
  get learningRate(): Tensor {
    return this.presentRate()
  }

  /** Steps done so far, i64[]. */
  get steps(): Tensor<'i64'> {
    return this.done
  }

  /** Every parameter of every group. */
  get parameters(): readonly Parameter[] {
    return this.groups.flatMap((group) => group.parameters)
  }

  /**
   * Moves every trainable parameter by its gradient; inside a compiled function with the run, outside at once. All or
   * nothing changes, and nothing does, not even the step count, where the gradients' condition `applies` is false: the
   * device decides that, nobody waits for it. Throws `GradientError` where a gradient is missing or of a parameter the optimizer does not have.
   */
  step(gradients: Gradients): void {
    if (!(gradients instanceof Gradients))
      throw new ArgumentError(`${this.name}: step takes what grad gives, not ${String(gradients)}`)
    const scaled = gradients instanceof ScaledGradients ? gradients : undefined
    const source = scaled?.unscaled ?? gradients
    const gradScale = scaled?.scale && cast(scaled.scale, 'f64')
    const applies = scaled?.applies
    this.checkKnown(source)
    const lr = this.presentRate()
    const step = add(this.done, 1)
    const chosen = (next: Tensor, cell: Cell): Tensor => (applies ? where(applies, next, cell) : next)
    const pairs: (readonly [Cell, Tensor])[] = [[this.done, chosen(step, this.done)]]
    for (const group of this.groups) {
      const active = group.parameters.flatMap((parameter, i) =>
        parameter.trainable ? [[parameter, group.states[i] as Readonly<Record<string, Cell>>] as const] : [],
      )
      if (active.length === 0) continue
      const scalars = { lr: group.lrFactor === 1 ? lr : mul(lr, group.lrFactor), step, gradScale, applies }
      const slots = active.map(([parameter, state]) => ({ parameter, gradient: source.get(parameter), state }))
      // An update is no part of the model: mixed precision is not for it.
      const next = withPrecision(undefined, () => this.update(scalars, slots, group.weightDecay))
      active.forEach(([parameter, state], i) => {
        const { parameter: moved, state: kinds, conditional } = next[i] as NextSlot
        const changes = Object.entries(kinds).map(([kind, value]) => [state[kind] as Cell, value] as const)
        for (const [cell, value] of [[parameter, moved] as const, ...changes])
          pairs.push([cell, conditional ? value : chosen(value, cell)])
      })
    }
    assign(pairs)
  }

  private presentRate(): Tensor {
    const trace = currentTrace()
    const kind = (): unknown => (typeof this.schedule === 'function' ? this.schedule : 'a number')
    trace?.relyOn(this, 'lr', kind(), kind)
    if (typeof this.schedule !== 'function') return this.rate
    trace?.relyOn(this, 'totalSteps', this.totalSteps, () => this.totalSteps)
    return cast(this.schedule(cast(this.done, 'f64'), this.totalSteps), 'f64')
  }

  private checkKnown(gradients: Gradients): void {
    const known = new Set<Tensor>(this.groups.flatMap((group) => group.parameters))
    for (const [target] of gradients) {
      if (known.has(target)) continue
      const what = target instanceof Parameter ? target.state.label : String(target)
      throw new GradientError(
        `${this.name}: there is a gradient of ${what}, which is none of its ${known.size} parameters`,
      )
    }
  }

  private cells(): (readonly [string, Cell])[] {
    const all = this.groups.flatMap((group) => group.states)
    const names = [...new Set(all.flatMap((state) => Object.keys(state)))]
    const states = names.flatMap((name) =>
      all.flatMap((state, i) => (name in state ? [[`${name}.${i}`, state[name] as Cell] as const] : [])),
    )
    return [['step', this.done], ['lr', this.rate], ...states]
  }

  /** Step count, learning rate and every parameter's state, by kind and position, once the device has delivered them. */
  stateDict(options: StateOptions = {}): Promise<StateDict> {
    return readState(this.cells(), options)
  }

  /** The reverse, for an optimizer of the same parameters. Throws `StateDictError` before anything is changed. */
  loadStateDict(state: StateDict): void {
    loadInto(this.cells(), state, true)
    if (typeof this.schedule === 'number') this.schedule = Number(state['lr']?.data[0])
  }
}

function groupsOf(
  name: string,
  given: Iterable<Parameter> | Iterable<ParameterGroup>,
  weightDecay: number,
  stateOf: (parameter: Parameter) => State,
): readonly Group[] {
  const list: readonly (Parameter | ParameterGroup)[] = [...(given as Iterable<Parameter | ParameterGroup>)]
  const single = list.every((entry): entry is Parameter => entry instanceof Parameter)
  const groups: readonly ParameterGroup[] = single ? [{ parameters: list }] : (list as readonly ParameterGroup[])
  const seen = new Set<Parameter>()
  const made = groups.map((group): Group => {
    const parameters = [...(group.parameters ?? [])]
    for (const parameter of parameters) {
      if (!(parameter instanceof Parameter))
        throw new ArgumentError(`${name}: it takes parameters or groups { parameters }, not ${String(parameter)}`)
      if (seen.has(parameter)) throw new ArgumentError(`${name}: ${parameter.state.label} is in its groups twice`)
      seen.add(parameter)
    }
    return {
      parameters,
      lrFactor: numberIn(name, 'lrFactor', group.lrFactor ?? 1, 0),
      weightDecay: numberIn(name, 'weightDecay', group.weightDecay ?? weightDecay, 0),
      states: parameters.map((parameter) => {
        const cells = Object.entries(stateOf(parameter)).map(
          ([kind, start]) => [kind, new Cell(start, { name: `${kind} of ${parameter.state.label}` })] as const,
        )
        return Object.fromEntries(cells)
      }),
    }
  })
  if (seen.size === 0) throw new ArgumentError(`${name}: there are no parameters to optimize`)
  return made
}
