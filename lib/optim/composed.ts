// What optimizers written in ops share: parameters one by one, in the dtype they are computed in. Their chains fuse.
import { cast, mul } from '../ops/element.js'
import { statisticOf } from '../ops/norm.js'
import type { StepScalars } from '../ops/optimizer.js'
import type { Tensor } from '../tensor.js'
import { type NextSlot, Optimizer, type Slot, type State } from './optimizer.js'

/** One parameter in one step, all in the dtype of its state: f32 (f64 for f64). */
export interface Move {
  readonly parameter: Tensor
  /** Scaled, without weight decay. */
  readonly gradient: Tensor
  readonly state: State
  /** [] */
  readonly lr: Tensor
  /** What `factors` gave. */
  readonly factors: readonly Tensor[]
  readonly weightDecay: number
}

export abstract class ComposedOptimizer extends Optimizer {
  /** The parameter, in the dtype it came in, and its state after the step. */
  protected abstract move(given: Move): NextSlot

  /** Scalars f64[] that are the same for every parameter; `step` is f64[] and counts from 1. */
  protected factors(_step: Tensor): readonly Tensor[] {
    return []
  }

  protected override update(scalars: StepScalars, slots: readonly Slot[], weightDecay: number): readonly NextSlot[] {
    const { lr, gradScale } = scalars
    const factors = this.factors(cast(scalars.step, 'f64'))
    return slots.map(({ parameter, gradient, state }) => {
      const dtype = statisticOf(parameter.dtype)
      const wide = cast(gradient, dtype)
      const next = this.move({
        parameter: cast(parameter, dtype),
        gradient: gradScale === undefined ? wide : mul(wide, cast(gradScale, dtype)),
        state,
        lr: cast(lr, dtype),
        factors: factors.map((factor) => cast(factor, dtype)),
        weightDecay,
      })
      return { parameter: cast(next.parameter, parameter.dtype), state: next.state }
    })
  }
}
