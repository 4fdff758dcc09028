// Dynamic loss scaling: a factor of the loss that keeps f16 gradients within range, adjusted on the device.
import { assign, Cell } from '../cell.js'
import { withPrecision } from '../graph/precision.js'
import { realize } from '../graph/realize.js'
import { currentTrace } from '../graph/trace.js'
import { integerFrom, numberIn, optionsOf } from '../ops/arguments.js'
import { full, zeros } from '../ops/create.js'
import { add, cast, eq, isFinite, logicalAnd, logicalNot, maximum, mul, reciprocal, where } from '../ops/element.js'
import { Gradients } from '../ops/gradient.js'
import { statisticOf } from '../ops/norm.js'
import { globalNorm } from '../ops/optimizer.js'
import { all } from '../ops/reduce.js'
import { ArgumentError } from '../runtime/errors.js'
import { loadInto, readState, type StateDict } from '../state.js'
import type { Tensor } from '../tensor.js'
import { ScaledGradients } from './clip.js'

export interface LossScaleOptions {
  /** The factor it starts with, above 0. Default 65536. */
  readonly initial?: number
  /** Factor of the scale after `growthInterval` steps in a row with finite gradients, above 1. Default 2. */
  readonly growthFactor?: number
  /** Factor of the scale after a step without, between 0 and 1. Default 0.5. */
  readonly backoffFactor?: number
  /** Default 2000. */
  readonly growthInterval?: number
}

const LARGEST = 3.4028234663852886e38
/** The smallest normal f32, whose reciprocal is finite. */
const SMALLEST = 2 ** -126
const LARGEST_I32 = 2 ** 31 - 1

/**
 * Dynamic loss scaling (Micikevicius et al. 2018), with the rules of torch.amp.GradScaler: a step whose gradients are not
 * finite is left out and takes the scale down, many finite ones in a row take it up; it stays a normal f32. All of it
 * happens on the device. One for each optimizer; `unscale` is called once per step. Throws `ArgumentError` for options out
 * of range.
 */
export class LossScale {
  private readonly factor: Cell<'f32'>
  private readonly streak: Cell<'i32'>
  private readonly left: Cell<'i64'>
  private readonly settings: { readonly growth: number; readonly backoff: number; readonly interval: number }

  constructor(options: LossScaleOptions = {}) {
    const name = 'LossScale'
    const { initial = 65536, growthFactor, backoffFactor, growthInterval } = optionsOf(name, options)
    numberIn(name, 'initial', initial, SMALLEST, LARGEST)
    const growth = numberIn(name, 'growthFactor', growthFactor ?? 2, 1)
    if (growth === 1) throw new ArgumentError(`${name}: growthFactor must be above 1, or the scale never grows`)
    const backoff = numberIn(name, 'backoffFactor', backoffFactor ?? 0.5, 0, 1)
    if (backoff === 0 || backoff === 1)
      throw new ArgumentError(`${name}: backoffFactor must lie between 0 and 1, not be ${backoff}`)
    const interval = integerFrom(name, 'growthInterval', growthInterval ?? 2000, 1)
    if (interval > LARGEST_I32) throw new ArgumentError(`${name}: growthInterval must be at most ${LARGEST_I32}`)
    this.settings = { growth, backoff, interval }
    this.factor = new Cell(full([], initial, { dtype: 'f32' }), { name: `${name} scale` })
    this.streak = new Cell(zeros([], { dtype: 'i32' }), { name: `${name} streak` })
    this.left = new Cell(zeros([], { dtype: 'i64' }), { name: `${name} skipped` })
  }

  /** The present scale, f32[]. */
  get value(): Tensor<'f32'> {
    return this.factor
  }

  /** Steps left out so far, i64[]. */
  get skipped(): Tensor<'i64'> {
    return this.left
  }

  /** The loss times the scale, in f32 (f64 for f64), as the scale may be too large for 16 bits. */
  scale(loss: Tensor): Tensor {
    const dtype = statisticOf(loss.dtype)
    return withPrecision(undefined, () => mul(cast(loss, dtype), cast(this.factor, dtype)))
  }

  /**
   * The gradients of the scaled loss, for an optimizer's step or for `clipGradients`: divided by the scale, and with the
   * condition that all of them are finite. The scale's next value is assigned: with the run inside a compiled function, at
   * once outside.
   */
  unscale(gradients: Gradients): ScaledGradients {
    if (!(gradients instanceof Gradients))
      throw new ArgumentError(`LossScale: unscale takes what grad gives, not ${String(gradients)}`)
    if (gradients.size === 0) throw new ArgumentError('LossScale: there are no gradients to unscale')
    return withPrecision(undefined, () => {
      const source = gradients instanceof ScaledGradients ? gradients.unscaled : gradients
      const list = [...source].map(([, gradient]) => gradient)
      const finite = allFinite(list)
      const unscaled = new ScaledGradients(gradients, reciprocal(cast(this.factor, 'f64')), finite)
      // Uncompiled, the gradients that the condition is computed from are kept for the step.
      if (!currentTrace()) realize([...list, finite].map(({ value }) => value))
      this.advance(finite)
      return unscaled
    })
  }

  private advance(finite: Tensor): void {
    const { growth, backoff, interval } = this.settings
    const times = (factor: number): Tensor => cast(mul(cast(this.factor, 'f64'), factor), 'f32')
    const grown = times(growth)
    const streak = add(this.streak, 1)
    const complete = eq(streak, interval)
    const up = where(logicalAnd(complete, isFinite(grown)), grown, this.factor)
    assign([
      [this.factor, where(finite, up, maximum(times(backoff), SMALLEST))],
      [this.streak, where(logicalAnd(finite, logicalNot(complete)), streak, 0)],
      [this.left, where(finite, this.left, add(this.left, 1))],
    ])
  }

  private cells(): (readonly [string, Cell])[] {
    return [
      ['scale', this.factor],
      ['streak', this.streak],
      ['skipped', this.left],
    ]
  }

  /** The scale, finite steps in a row, and steps left out, once the device has delivered them. */
  stateDict(): Promise<StateDict> {
    return readState(this.cells())
  }

  /** The reverse. Throws `StateDictError` before anything is changed. */
  loadStateDict(state: StateDict): void {
    loadInto(this.cells(), state, true)
  }
}

/** One pass over all gradients: squares of f32 and 16-bit elements, and their sums, stay finite in f64; f64's may not. */
function allFinite(gradients: readonly Tensor[]): Tensor<'bool'> {
  const wide = gradients.filter(({ dtype }) => dtype === 'f64')
  const rest = gradients.filter(({ dtype }) => dtype !== 'f64')
  const parts: Tensor[] = wide.map((gradient) => all(isFinite(gradient)))
  if (rest.length > 0) parts.unshift(isFinite(globalNorm(rest, { wide: true })))
  return parts.reduce((a, b) => logicalAnd(a, b)) as Tensor<'bool'>
}
