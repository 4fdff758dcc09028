// Fake quantisation: floats rounded to what 8-bit integers can say, with gradients that pass the rounding by.
import { abs, add, div, maximum, minimum, mul, round, sub } from '../ops/element.js'
import { unitShape } from '../ops/linear.js'
import { max } from '../ops/reduce.js'
import { reshape, stopGradient } from '../ops/view.js'
import type { Tensor } from '../tensor.js'

/** The largest integer of a weight; -128 is left out, so that the range is symmetric. */
export const WEIGHT_LIMIT = 127
const STEPS = 255
/** Scales start here, so that a channel of zeros and an input that is always 0 have one. */
const LEAST_SCALE = 1e-12

/** round(x), through which gradients go as if it were x (Bengio et al. 2013, "straight-through"). */
const roundThrough = (x: Tensor): Tensor => add(x, stopGradient(sub(round(x), x)))

/** How u8 stands for the numbers from `low` to `high`. */
export interface Grid {
  /** Of one integer, above 0. */
  readonly scale: Tensor
  /** The integer of 0, from 0 to 255, as f32. */
  readonly zeroPoint: Tensor
}

/** The grid of a range, widened to hold 0: padding and ReLU's zeros are exact. */
export function gridOf(low: Tensor, high: Tensor): Grid {
  const [from, to] = [minimum(low, 0), maximum(high, 0)]
  const scale = maximum(div(sub(to, from), STEPS), LEAST_SCALE)
  return { scale, zeroPoint: stopGradient(minimum(maximum(round(div(sub(0, from), scale)), 0), STEPS)) }
}

/**
 * `x` as u8 would have it. Gradients reach `x` where it is in range, and the ends of the range as in learned step size
 * quantisation (Esser et al. 2020).
 */
export function fakeQuantize(x: Tensor, { scale, zeroPoint }: Grid): Tensor {
  const steps = roundThrough(add(div(x, scale), zeroPoint))
  return mul(sub(minimum(maximum(steps, 0), STEPS), zeroPoint), scale)
}

/** Of a weight [O,...]: the step of each output channel, [O], such that its largest element is 127. */
export function weightScale(weight: Tensor): Tensor {
  const axes = weight.shape.map((_, axis) => axis).slice(1)
  return maximum(div(max(abs(stopGradient(weight)), { axes }), WEIGHT_LIMIT), LEAST_SCALE)
}

const perChannel = (scale: Tensor, weight: Tensor): Tensor =>
  reshape(scale, unitShape(weight.shape, weight.shape.map((_, axis) => axis).slice(1)))

/** round(weight / scale), in floats. */
export function weightSteps(weight: Tensor, scale: Tensor): Tensor {
  return roundThrough(div(weight, perChannel(scale, weight)))
}

/** `weight` [O,...] as i8 with a scale for each output channel would have it. */
export function fakeQuantizeWeight(weight: Tensor): Tensor {
  const scale = weightScale(weight)
  return mul(weightSteps(weight, scale), perChannel(scale, weight))
}
