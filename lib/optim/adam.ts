// Adam and AdamW.
import type { Parameter } from '../cell.js'
import { numberIn } from '../ops/arguments.js'
import { adamStep, type StepScalars } from '../ops/optimizer.js'
import { checkBetas } from './moment.js'
import {
  type NextSlot,
  Optimizer,
  type OptimizerOptions,
  type ParameterGroup,
  type Slot,
  together,
  zeroState,
} from './optimizer.js'

export interface AdamOptions extends Omit<OptimizerOptions, 'lr'> {
  /** Default 1e-3. */
  readonly lr?: OptimizerOptions['lr']
  /** Decay rates of the two moments, each from 0 to below 1. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number]
  /** Added to the root of the second moment. Default 1e-8. */
  readonly eps?: number
}

/** The kernel's order. */
const MOMENTS = ['moment1', 'moment2']

abstract class AdamFamily extends Optimizer {
  private readonly betas: readonly [number, number]
  private readonly eps: number

  protected constructor(
    name: string,
    parameters: Iterable<Parameter> | Iterable<ParameterGroup>,
    private readonly decoupled: boolean,
    options: AdamOptions,
  ) {
    super(name, parameters, { lr: 1e-3, ...options }, zeroState(...MOMENTS))
    const { betas = [0.9, 0.999], eps = 1e-8 } = options
    checkBetas(name, betas)
    this.betas = [...betas]
    this.eps = numberIn(name, 'eps', eps, 0)
  }

  protected override update(scalars: StepScalars, slots: readonly Slot[], weightDecay: number): readonly NextSlot[] {
    const [beta1, beta2] = this.betas
    const settings = { beta1, beta2, eps: this.eps, weightDecay, decoupled: this.decoupled }
    return together(slots, MOMENTS, (tensors) => adamStep(scalars, tensors, settings))
  }
}

/**
 * Adam (Kingma and Ba 2014) with bias correction; `weightDecay` (default 0) is added to the gradients. Throws
 * `ArgumentError` for options out of range.
 */
export class Adam extends AdamFamily {
  constructor(parameters: Iterable<Parameter> | Iterable<ParameterGroup>, options: AdamOptions = {}) {
    super('Adam', parameters, false, options)
  }
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2017): weights shrink by lr weightDecay (default 0.01) before
 * each step. Throws `ArgumentError` for options out of range.
 */
export class AdamW extends AdamFamily {
  constructor(parameters: Iterable<Parameter> | Iterable<ParameterGroup>, options: AdamOptions = {}) {
    super('AdamW', parameters, true, { weightDecay: 0.01, ...options })
  }
}
