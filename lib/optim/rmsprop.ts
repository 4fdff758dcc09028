// RMSprop.
import type { Parameter } from '../cell.js'
import { numberIn } from '../ops/arguments.js'
import { add, div, mul, sqrt, sub } from '../ops/element.js'
import { ComposedOptimizer, type Move } from './composed.js'
import { decayed, moving } from './moment.js'
import { type NextSlot, type OptimizerOptions, type ParameterGroup, zeroState } from './optimizer.js'

export interface RMSpropOptions extends Omit<OptimizerOptions, 'lr'> {
  /** Default 1e-2. */
  readonly lr?: OptimizerOptions['lr']
  /** Decay rate of the mean of squares, from 0 to 1. Default 0.99. */
  readonly alpha?: number
  /** Added to the root. Default 1e-8. */
  readonly eps?: number
  /** Share of the velocity that stays from step to step. Default 0. */
  readonly momentum?: number
  /** Divide by the estimated standard deviation instead of the root of the mean square. Default false. */
  readonly centered?: boolean
}

/**
 * RMSprop (Tieleman and Hinton 2012; centered as in Graves 2013), as torch.optim.RMSprop: v = alpha v + (1 - alpha) g^2,
 * p -= lr g / (sqrt(v) + eps), by way of a velocity where there is momentum. `weightDecay` (default 0) is added to the
 * gradients. Throws `ArgumentError` for options out of range.
 */
export class RMSprop extends ComposedOptimizer {
  private readonly settings: Required<Pick<RMSpropOptions, 'alpha' | 'eps' | 'momentum' | 'centered'>>

  constructor(parameters: Iterable<Parameter> | Iterable<ParameterGroup>, options: RMSpropOptions = {}) {
    const { alpha = 0.99, eps = 1e-8, momentum = 0, centered = false } = options
    numberIn('RMSprop', 'alpha', alpha, 0, 1)
    numberIn('RMSprop', 'eps', eps, 0)
    numberIn('RMSprop', 'momentum', momentum, 0)
    const optional = [...(centered ? ['mean'] : []), ...(momentum > 0 ? ['velocity'] : [])]
    super('RMSprop', parameters, { lr: 1e-2, ...options }, zeroState('square', ...optional))
    this.settings = { alpha, eps, momentum, centered }
  }

  protected override move({ parameter, gradient, state, lr, weightDecay }: Move): NextSlot {
    const { alpha, eps, momentum, centered } = this.settings
    const { square, mean, velocity } = state
    const g = decayed(gradient, parameter, weightDecay)
    const nextSquare = moving(square, mul(g, g), alpha)
    const nextMean = centered ? moving(mean, g, alpha) : undefined
    const variance = nextMean ? sub(nextSquare, mul(nextMean, nextMean)) : nextSquare
    const direction = div(g, add(sqrt(variance), eps))
    const nextVelocity = velocity && add(mul(velocity, momentum), direction)
    return {
      parameter: sub(parameter, mul(nextVelocity ?? direction, lr)),
      state: {
        square: nextSquare,
        ...(nextMean && { mean: nextMean }),
        ...(nextVelocity && { velocity: nextVelocity }),
      },
    }
  }
}
