// Learning rate schedules: functions of the step as tensors, so that a compiled step follows them without being traced again.

import { integerFrom, numberIn } from '../ops/arguments.js'
import { full } from '../ops/create.js'
import { add, cos, div, floor, log, lt, minimum, mul, pow, round, sub, where } from '../ops/element.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Tensor } from '../tensor.js'

/**
 * The learning rate f64[] at a step: `step`, f64[], counts from 0; `total` is how many steps there will be, where the
 * optimizer knows.
 */
export type Schedule = (step: Tensor, total?: number) => Tensor

export { chain, type Phase, sequential } from './joined.js'

/** The number of steps a schedule runs over: its own, or the optimizer's. */
function totalOf(name: string, own: number | undefined, given: number | undefined): number {
  const total = own ?? given
  if (total === undefined) {
    throw new ArgumentError(
      `schedule.${name}: it needs the number of steps: give 'total' here or 'totalSteps' to the optimizer`,
    )
  }
  return integerFrom(`schedule.${name}`, 'total', total, 1)
}

const rate = (name: string, what: string, value: number): number => numberIn(`schedule.${name}`, what, value, 0)

/** How far a walk of `length` steps is after `step`, from 0 to 1. */
const progress = (step: Tensor, length: number): Tensor => minimum(mul(step, 1 / Math.max(1, length)), 1)

/** From `from` to `to` along half a cosine, by the progress 0 to 1. */
const annealed = (from: number, to: number, done: Tensor): Tensor =>
  add(mul(add(cos(mul(done, Math.PI)), 1), (from - to) / 2), to)

/** Always `lr`. */
export function constant(lr: number): Schedule {
  rate('constant', 'lr', lr)
  return () => full([], lr, { dtype: 'f64' })
}

export interface LinearOptions {
  readonly start: number
  /** Default 0. */
  readonly end?: number
  /** Steps from one to the other; then it stays. Default: the optimizer's `totalSteps`. */
  readonly total?: number
}

/** From `start` to `end` in a straight line. */
export function linear({ start, end = 0, total }: LinearOptions): Schedule {
  rate('linear', 'start', start)
  rate('linear', 'end', end)
  return (step, given) => add(mul(progress(step, totalOf('linear', total, given)), end - start), start)
}

/** `initial` (1 - step / total)^power, 0 from `total` (default: the optimizer's `totalSteps`) on; `power` defaults to 1. */
export function polynomial({
  initial,
  power = 1,
  total,
}: {
  readonly initial: number
  readonly power?: number
  readonly total?: number
}): Schedule {
  rate('polynomial', 'initial', initial)
  numberIn('schedule.polynomial', 'power', power, 0)
  return (step, given) => mul(pow(sub(1, progress(step, totalOf('polynomial', total, given))), power), initial)
}

export interface CosineOptions {
  readonly peak: number
  /** Default 0. */
  readonly end?: number
  /** Steps from the first to `end`; then it stays. Default: the optimizer's `totalSteps`. */
  readonly total?: number
}

/** From `peak` to `end` along half a cosine (Loshchilov and Hutter 2016). */
export function cosine(options: CosineOptions): Schedule {
  return warmupCosine({ ...options, warmup: 0 })
}

/** In a straight line up to `peak` in `warmup` steps, then down to `end` along half a cosine. */
export function warmupCosine({ peak, end = 0, warmup, total }: CosineOptions & { readonly warmup: number }): Schedule {
  rate('warmupCosine', 'peak', peak)
  rate('warmupCosine', 'end', end)
  integerFrom('schedule.warmupCosine', 'warmup', warmup, 0)
  return (step, given) => {
    const length = totalOf('warmupCosine', total, given) - warmup
    const down = annealed(peak, end, progress(sub(step, warmup), length))
    return warmup === 0 ? down : where(lt(step, warmup), mul(add(step, 1), peak / warmup), down)
  }
}

export interface RestartOptions {
  readonly peak: number
  /** Default 0. */
  readonly end?: number
  /** Steps of the first run from `peak` to `end`. */
  readonly first: number
  /** Each run is so many times as long as the one before, an integer from 1 up. Default 1. */
  readonly factor?: number
}

/** From `peak` to `end` along half a cosine, again and again (SGDR, Loshchilov and Hutter 2016). */
export function cosineRestarts({ peak, end = 0, first, factor = 1 }: RestartOptions): Schedule {
  rate('cosineRestarts', 'peak', peak)
  rate('cosineRestarts', 'end', end)
  integerFrom('schedule.cosineRestarts', 'first', first, 1)
  integerFrom('schedule.cosineRestarts', 'factor', factor, 1)
  return (step) => {
    // Run n starts at first (factor^n - 1) / (factor - 1). Half a step keeps quotients and logarithms off the integers.
    const half = mul(add(step, 0.5), 1 / first)
    if (factor === 1) return annealed(peak, end, sub(mul(step, 1 / first), floor(half)))
    const run = floor(mul(log(add(mul(half, factor - 1), 1)), 1 / Math.log(factor)))
    // Rounded, as powers need not be exact.
    const length = mul(round(pow(full([], factor, { dtype: 'f64' }), run)), first)
    const start = div(sub(length, first), factor - 1)
    return annealed(peak, end, div(sub(step, start), length))
  }
}

export interface DecayOptions {
  readonly initial: number
  /** Default 0.1. */
  readonly factor?: number
  /** Steps between two decays. Default 1. */
  readonly every?: number
}

function decay(name: string, { initial, factor = 0.1, every = 1 }: DecayOptions, stairs: boolean): Schedule {
  rate(name, 'initial', initial)
  rate(name, 'factor', factor)
  integerFrom(`schedule.${name}`, 'every', every, 1)
  return (step) => {
    const times = mul(step, 1 / every)
    // Half a step keeps a quotient that was rounded down from falling under its integer.
    const exponent = stairs ? floor(mul(add(step, 0.5), 1 / every)) : times
    return mul(pow(full([], factor, { dtype: 'f64' }), exponent), initial)
  }
}

/** `initial`, times `factor` after each `every` steps. */
export const step = (options: DecayOptions): Schedule => decay('step', options, true)

/** `initial`, times `factor` (default 0.1) at each of the steps in `at`. */
export function multiStep({
  initial,
  at,
  factor = 0.1,
}: {
  readonly initial: number
  readonly at: readonly number[]
  readonly factor?: number
}): Schedule {
  rate('multiStep', 'initial', initial)
  rate('multiStep', 'factor', factor)
  for (const milestone of at) integerFrom('schedule.multiStep', 'a step', milestone, 0)
  return (step) =>
    at.reduce(
      (lr: Tensor, milestone) => where(lt(step, milestone), lr, mul(lr, factor)),
      full([], initial, { dtype: 'f64' }),
    )
}

/** `initial` times factor^(step / every). */
export const exponential = (options: DecayOptions): Schedule => decay('exponential', options, false)

export interface OneCycleOptions {
  readonly peak: number
  /** Default: the optimizer's `totalSteps`. */
  readonly total?: number
  /** Share of the steps that lead up to the peak. Default 0.3. */
  readonly warmupShare?: number
  /** The first rate is the peak divided by this. Default 25. */
  readonly initialDivisor?: number
  /** The last rate is the first one divided by this. Default 1e4. */
  readonly finalDivisor?: number
}

/** Up to the peak and far down again, along two half cosines (Smith and Topin 2017). */
export function oneCycle({
  peak,
  total,
  warmupShare = 0.3,
  initialDivisor = 25,
  finalDivisor = 1e4,
}: OneCycleOptions): Schedule {
  rate('oneCycle', 'peak', peak)
  numberIn('schedule.oneCycle', 'warmupShare', warmupShare, 0, 1)
  for (const [name, value] of Object.entries({ initialDivisor, finalDivisor }))
    numberIn('schedule.oneCycle', name, value, Number.MIN_VALUE)
  return (at, given) => {
    const steps = totalOf('oneCycle', total, given)
    const top = warmupShare * steps - 1
    const initial = peak / initialDivisor
    const up = annealed(initial, peak, progress(at, top))
    const down = annealed(peak, initial / finalDivisor, progress(sub(at, top), steps - 1 - top))
    return where(lt(at, top), up, down)
  }
}
