// Muon: momentum made orthogonal for matrices, AdamW for everything else.
import type { Parameter } from '../cell.js'
import { integerFrom, numberIn } from '../ops/arguments.js'
import { add, cast, div, mul, sqrt, sub } from '../ops/element.js'
import { matmul } from '../ops/matmul.js'
import { statisticOf } from '../ops/norm.js'
import { adamStep, type StepScalars } from '../ops/optimizer.js'
import { sum } from '../ops/reduce.js'
import { reshape, transpose } from '../ops/view.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Tensor } from '../tensor.js'
import { checkBetas, correction, decayed, moving } from './moment.js'
import {
  type NextSlot,
  Optimizer,
  type OptimizerOptions,
  type ParameterGroup,
  type Slot,
  together,
  zeroState,
} from './optimizer.js'

export interface MuonOptions extends Omit<OptimizerOptions, 'lr'> {
  /** Default 0.02, for matrices; the others are better off in a group with an `lrFactor` near 0.015. */
  readonly lr?: OptimizerOptions['lr']
  /** Decay rate of the average of gradients, from 0 to below 1. Default 0.95. */
  readonly momentum?: number
  /** Look ahead along the average. Default true. */
  readonly nesterov?: boolean
  /** Steps of the Newton-Schulz iteration. Default 5. */
  readonly iterations?: number
  /** Added to norms, and to the root of AdamW's second moment. Default 1e-8. */
  readonly eps?: number
  /** AdamW's decay rates. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number]
  /**
   * Which parameters, of two axes or more, are made orthogonal as matrices [first axis, all others]. Default: those of two
   * axes. Embeddings and the last layer do better with AdamW.
   */
  readonly matrices?: (parameter: Parameter) => boolean
}

/** Of the quintic a x + b x^3 + c x^5, steepest at 0 (Jordan 2024). */
const [A, B, C] = [3.4445, -4.775, 2.0315]
const MOMENTS = ['moment1', 'moment2']

/** The nearest matrix whose singular values lie near 1, by a Newton-Schulz iteration; products take the shorter side. */
function orthogonal(x: Tensor, iterations: number, eps: number): Tensor {
  const [rows, columns] = x.shape as readonly [number, number]
  const turned = rows > columns
  let y = turned ? transpose(x) : x
  y = div(y, add(sqrt(sum(mul(y, y))), eps))
  for (let i = 0; i < iterations; i++) {
    const square = matmul(y, transpose(y))
    y = add(mul(y, A), matmul(add(mul(square, B), mul(matmul(square, square), C)), y))
  }
  return turned ? transpose(y) : y
}

/**
 * Muon (Jordan et al. 2024), as optax.contrib.muon: p -= lr (sqrt(max(1, rows / columns)) O + weightDecay p), O the average
 * of gradients made orthogonal, with bias correction; weights are [out, in]. All other parameters move by plain AdamW,
 * where optax lets that look ahead too. `weightDecay` (default 0) is decoupled for all. Throws `ArgumentError` for options
 * out of range.
 */
export class Muon extends Optimizer {
  private readonly settings: Required<Omit<MuonOptions, keyof OptimizerOptions | 'matrices'>>

  constructor(parameters: Iterable<Parameter> | Iterable<ParameterGroup>, options: MuonOptions = {}) {
    const { betas = [0.9, 0.999], momentum = 0.95, nesterov = true } = options
    const { matrices = ({ shape }: Parameter) => shape.length === 2 } = options
    checkBetas('Muon', [...betas, momentum])
    const settings = {
      betas: [...betas] as const,
      momentum,
      nesterov,
      iterations: integerFrom('Muon', 'iterations', options.iterations ?? 5, 1),
      eps: numberIn('Muon', 'eps', options.eps ?? 1e-8, 0),
    }
    super('Muon', parameters, { lr: 0.02, ...options }, (parameter) => {
      if (!matrices(parameter)) return zeroState(...MOMENTS)(parameter)
      if (parameter.shape.length >= 2) return zeroState('momentum')(parameter)
      throw new ArgumentError(`Muon: ${parameter.state.label} has fewer than two axes; leave it out of 'matrices'`)
    })
    this.settings = settings
  }

  protected override update(scalars: StepScalars, slots: readonly Slot[], weightDecay: number): readonly NextSlot[] {
    const { betas, eps, momentum } = this.settings
    const rest = slots.filter(({ state }) => !('momentum' in state))
    const settings = { beta1: betas[0], beta2: betas[1], eps, weightDecay, decoupled: true }
    const others = rest.length === 0 ? [] : together(rest, MOMENTS, (tensors) => adamStep(scalars, tensors, settings))
    const step = cast(scalars.step, 'f64')
    // optax corrects the average by the step to come when it looks ahead.
    const ahead = correction(momentum, this.settings.nesterov ? add(step, 1) : step)
    const present = correction(momentum, step)
    const next = others.values()
    return slots.map((slot) =>
      'momentum' in slot.state
        ? this.turn(scalars, slot, [ahead, present], weightDecay)
        : (next.next().value as NextSlot),
    )
  }

  private turn(
    { lr, gradScale }: StepScalars,
    { parameter, gradient, state }: Slot,
    corrections: readonly [Tensor, Tensor],
    weightDecay: number,
  ): NextSlot {
    const { momentum, nesterov, iterations, eps } = this.settings
    const dtype = statisticOf(parameter.dtype)
    const [ahead, present] = corrections.map((factor) => cast(factor, dtype)) as [Tensor, Tensor]
    const p = cast(parameter, dtype)
    const wide = cast(gradient, dtype)
    const g = gradScale ? mul(wide, cast(gradScale, dtype)) : wide
    const average = moving(state['momentum'], g, momentum)
    const corrected = div(average, ahead)
    const direction = nesterov ? add(mul(corrected, momentum), mul(div(g, present), 1 - momentum)) : corrected
    const rows = p.shape[0] as number
    const columns = p.shape.slice(1).reduce((a, b) => a * b, 1)
    const turned = orthogonal(reshape(direction, [rows, columns]), iterations, eps)
    const scaled = mul(reshape(turned, p.shape), Math.sqrt(Math.max(1, rows / columns)))
    const moved = sub(p, mul(decayed(scaled, p, weightDecay), cast(lr, dtype)))
    return { parameter: cast(moved, parameter.dtype), state: { momentum: average } }
  }
}
