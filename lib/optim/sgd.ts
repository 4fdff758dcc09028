// Stochastic gradient descent, with momentum if wanted.
import type { Parameter } from '../cell.js'
import { numberIn } from '../ops/arguments.js'
import { type StepScalars, sgdStep } from '../ops/optimizer.js'
import { ArgumentError } from '../runtime/errors.js'
import {
  type NextSlot,
  Optimizer,
  type OptimizerOptions,
  type ParameterGroup,
  type Slot,
  together,
  zeroState,
} from './optimizer.js'

export interface SGDOptions extends OptimizerOptions {
  /** Share of the velocity that stays from step to step (Polyak 1964). Default 0. */
  readonly momentum?: number
  /** Share of the gradient that is kept out of the velocity. Default 0. */
  readonly dampening?: number
  /** Look ahead along the velocity (Nesterov 1983); takes momentum and no dampening. Default false. */
  readonly nesterov?: boolean
}

/** Gradient descent; `weightDecay` (default 0) is added to the gradients. Throws `ArgumentError` for options out of range. */
export class SGD extends Optimizer {
  private readonly settings: { readonly momentum: number; readonly dampening: number; readonly nesterov: boolean }

  constructor(parameters: Iterable<Parameter> | Iterable<ParameterGroup>, options: SGDOptions) {
    const { momentum = 0, dampening = 0, nesterov = false } = options
    numberIn('SGD', 'momentum', momentum, 0)
    numberIn('SGD', 'dampening', dampening, 0)
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new ArgumentError('SGD: nesterov takes a momentum above 0 and no dampening')
    }
    super('SGD', parameters, options, momentum === 0 ? zeroState() : zeroState('velocity'))
    this.settings = { momentum, dampening, nesterov }
  }

  protected override update(scalars: StepScalars, slots: readonly Slot[], weightDecay: number): readonly NextSlot[] {
    const states = this.settings.momentum === 0 ? [] : ['velocity']
    return together(slots, states, (tensors) => sgdStep(scalars, tensors, { ...this.settings, weightDecay }))
  }
}
