// LAMB.
import type { Parameter } from '../cell.js'
import { numberIn } from '../ops/arguments.js'
import { add, div, gt, logicalAnd, mul, sqrt, sub, where } from '../ops/element.js'
import { sum } from '../ops/reduce.js'
import type { Tensor } from '../tensor.js'
import { ComposedOptimizer, type Move } from './composed.js'
import { checkBetas, correction, decayed, moving } from './moment.js'
import { type NextSlot, type OptimizerOptions, type ParameterGroup, zeroState } from './optimizer.js'

export interface LAMBOptions extends Omit<OptimizerOptions, 'lr'> {
  /** Default 1e-3. */
  readonly lr?: OptimizerOptions['lr']
  /** Decay rates of the two moments, each from 0 to below 1. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number]
  /** Added to the root of the second moment. Default 1e-6. */
  readonly eps?: number
}

const norm = (x: Tensor): Tensor => sqrt(sum(mul(x, x)))

/**
 * LAMB (You et al. 2019), as optax.lamb: AdamW's direction u = m / (sqrt(v) + eps) + weightDecay p of each tensor, times
 * |p| / |u| (1 where one of them is 0). The decay (default 0) is part of the direction. Throws `ArgumentError` for options
 * out of range.
 */
export class LAMB extends ComposedOptimizer {
  private readonly betas: readonly [number, number]
  private readonly eps: number

  constructor(parameters: Iterable<Parameter> | Iterable<ParameterGroup>, options: LAMBOptions = {}) {
    const { betas = [0.9, 0.999], eps = 1e-6 } = options
    checkBetas('LAMB', betas)
    super('LAMB', parameters, { lr: 1e-3, ...options }, zeroState('moment1', 'moment2'))
    this.betas = [...betas]
    this.eps = numberIn('LAMB', 'eps', eps, 0)
  }

  protected override factors(step: Tensor): readonly Tensor[] {
    return this.betas.map((beta) => correction(beta, step))
  }

  protected override move({ parameter, gradient, state, lr, factors, weightDecay }: Move): NextSlot {
    const [beta1, beta2] = this.betas
    const moment1 = moving(state['moment1'], gradient, beta1)
    const moment2 = moving(state['moment2'], mul(gradient, gradient), beta2)
    const [first, second] = factors as readonly [Tensor, Tensor]
    const adam = div(div(moment1, first), add(sqrt(div(moment2, second)), this.eps))
    const direction = decayed(adam, parameter, weightDecay)
    const [size, length] = [norm(parameter), norm(direction)]
    const trust = where(logicalAnd(gt(size, 0), gt(length, 0)), div(size, length), 1)
    return { parameter: sub(parameter, mul(direction, mul(trust, lr))), state: { moment1, moment2 } }
  }
}
