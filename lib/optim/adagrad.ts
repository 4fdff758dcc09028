// Adagrad.
import type { Parameter } from '../cell.js'
import { numberIn } from '../ops/arguments.js'
import { full } from '../ops/create.js'
import { add, div, mul, sqrt, sub } from '../ops/element.js'
import { statisticOf } from '../ops/norm.js'
import type { Tensor } from '../tensor.js'
import { ComposedOptimizer, type Move } from './composed.js'
import { decayed } from './moment.js'
import type { NextSlot, OptimizerOptions, ParameterGroup } from './optimizer.js'

export interface AdagradOptions extends Omit<OptimizerOptions, 'lr'> {
  /** Default 1e-2. */
  readonly lr?: OptimizerOptions['lr']
  /** The rate of step t, from 1, is divided by 1 + (t - 1) lrDecay. Default 0. */
  readonly lrDecay?: number
  /** What the sums of squares start with. Default 0. */
  readonly initialAccumulator?: number
  /** Added to the root. Default 1e-10. */
  readonly eps?: number
}

/**
 * Adagrad (Duchi, Hazan and Singer 2011), as torch.optim.Adagrad: s += g^2, p -= lr g / (sqrt(s) + eps). `weightDecay`
 * (default 0) is added to the gradients. Throws `ArgumentError` for options out of range.
 */
export class Adagrad extends ComposedOptimizer {
  private readonly lrDecay: number
  private readonly eps: number

  constructor(parameters: Iterable<Parameter> | Iterable<ParameterGroup>, options: AdagradOptions = {}) {
    const { lrDecay = 0, initialAccumulator = 0, eps = 1e-10 } = options
    numberIn('Adagrad', 'initialAccumulator', initialAccumulator, 0)
    super('Adagrad', parameters, { lr: 1e-2, ...options }, ({ shape, dtype }) => ({
      sum: full(shape, initialAccumulator, { dtype: statisticOf(dtype) }),
    }))
    this.lrDecay = numberIn('Adagrad', 'lrDecay', lrDecay, 0)
    this.eps = numberIn('Adagrad', 'eps', eps, 0)
  }

  protected override factors(step: Tensor): readonly Tensor[] {
    return this.lrDecay === 0 ? [] : [add(mul(sub(step, 1), this.lrDecay), 1)]
  }

  protected override move({ parameter, gradient, state, lr, factors: [slowdown], weightDecay }: Move): NextSlot {
    const g = decayed(gradient, parameter, weightDecay)
    const sum = add(state['sum'] as Tensor, mul(g, g))
    const rate = slowdown ? div(lr, slowdown) : lr
    return { parameter: sub(parameter, mul(div(g, add(sqrt(sum), this.eps)), rate)), state: { sum } }
  }
}
