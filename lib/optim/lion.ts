// Lion.
import type { Parameter } from '../cell.js'
import { mul, sign, sub } from '../ops/element.js'
import { ComposedOptimizer, type Move } from './composed.js'
import { checkBetas, decayed, moving } from './moment.js'
import { type NextSlot, type OptimizerOptions, type ParameterGroup, zeroState } from './optimizer.js'

export interface LionOptions extends Omit<OptimizerOptions, 'lr'> {
  /** Default 1e-4: steps are of full size in every element, so rates are a third to a tenth of AdamW's. */
  readonly lr?: OptimizerOptions['lr']
  /** Decay rates, each from 0 to below 1: of the average whose sign is taken, and of the one that is kept. Default [0.9, 0.99]. */
  readonly betas?: readonly [number, number]
}

/**
 * Lion (Chen et al. 2023), as optax.lion: p -= lr (sign(beta1 m + (1 - beta1) g) + weightDecay p), then
 * m = beta2 m + (1 - beta2) g. The decay (default 0) is decoupled. Throws `ArgumentError` for options out of range.
 */
export class Lion extends ComposedOptimizer {
  private readonly betas: readonly [number, number]

  constructor(parameters: Iterable<Parameter> | Iterable<ParameterGroup>, options: LionOptions = {}) {
    const { betas = [0.9, 0.99] } = options
    checkBetas('Lion', betas)
    super('Lion', parameters, { lr: 1e-4, ...options }, zeroState('moment'))
    this.betas = [...betas]
  }

  protected override move({ parameter, gradient, state, lr, weightDecay }: Move): NextSlot {
    const [beta1, beta2] = this.betas
    const direction = decayed(sign(moving(state['moment'], gradient, beta1)), parameter, weightDecay)
    return {
      parameter: sub(parameter, mul(direction, lr)),
      state: { moment: moving(state['moment'], gradient, beta2) },
    }
  }
}
