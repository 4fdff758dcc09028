// Adafactor.
import type { Parameter } from '../cell.js'
import { integerFrom, numberIn } from '../ops/arguments.js'
import { zeros } from '../ops/create.js'
import { add, div, le, maximum, minimum, mul, pow, rsqrt, sqrt, sub, where } from '../ops/element.js'
import { statisticOf } from '../ops/norm.js'
import { mean } from '../ops/reduce.js'
import { unsqueeze } from '../ops/view.js'
import type { Shape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { ComposedOptimizer, type Move } from './composed.js'
import { decayed } from './moment.js'
import type { NextSlot, OptimizerOptions, ParameterGroup, State } from './optimizer.js'
import type { Schedule } from './schedule.js'

export interface AdafactorOptions extends Omit<OptimizerOptions, 'lr'> {
  /** Default: the paper's relative step, min(1e-2, 1 / sqrt(t)) at step t from 1. */
  readonly lr?: OptimizerOptions['lr']
  /** Rates are times the root mean square of the parameter, but at least 1e-3. Default true. */
  readonly scaleByParameter?: boolean
  /** The mean of squares keeps 1 - t^-decayRate at step t. Default 0.8. */
  readonly decayRate?: number
  /** Updates are scaled down to this root mean square; from 1 up, or null for none. Default 1. */
  readonly clippingThreshold?: number | null
  /** Share of an average of updates that stays from step to step. Default 0: no such average. */
  readonly momentum?: number
  /** Moments are factored where the two longest axes have at least so many elements. Default 128. */
  readonly minSizeToFactor?: number
  /** Added to the squares of gradients. Default 1e-30. */
  readonly eps?: number
}

/** The second longest and the longest axis, if moments of that shape are factored. */
function factoredAxes(shape: Shape, smallest: number): readonly [number, number] | undefined {
  const axes = shape.map((_, axis) => axis).sort((a, b) => (shape[a] as number) - (shape[b] as number))
  const [second, longest] = axes.slice(-2)
  if (second === undefined || longest === undefined || (shape[second] as number) < smallest) return undefined
  return [second, longest]
}

/** min(1e-2, 1 / sqrt(t)), section 8 of the paper. */
const relativeStep: Schedule = (step) => minimum(rsqrt(add(step, 1)), 1e-2)

/**
 * Adafactor (Shazeer and Stern 2018), as optax.adafactor: squares of gradients are kept as the means of rows and columns,
 * so that a matrix [n, m] takes n + m numbers. `weightDecay` (default 0) is taken off as it is, without the learning rate.
 * Throws `ArgumentError` for options out of range.
 */
export class Adafactor extends ComposedOptimizer {
  private readonly settings: Required<Omit<AdafactorOptions, keyof OptimizerOptions>>

  constructor(parameters: Iterable<Parameter> | Iterable<ParameterGroup>, options: AdafactorOptions = {}) {
    const settings = {
      scaleByParameter: options.scaleByParameter ?? true,
      decayRate: numberIn('Adafactor', 'decayRate', options.decayRate ?? 0.8, 0),
      clippingThreshold: options.clippingThreshold === undefined ? 1 : options.clippingThreshold,
      momentum: numberIn('Adafactor', 'momentum', options.momentum ?? 0, 0, 1),
      minSizeToFactor: integerFrom('Adafactor', 'minSizeToFactor', options.minSizeToFactor ?? 128, 1),
      eps: numberIn('Adafactor', 'eps', options.eps ?? 1e-30, 0),
    }
    if (settings.clippingThreshold !== null) numberIn('Adafactor', 'clippingThreshold', settings.clippingThreshold, 1)
    super('Adafactor', parameters, { lr: relativeStep, ...options }, (parameter) => stateOf(parameter, settings))
    this.settings = settings
  }

  protected override factors(step: Tensor): readonly Tensor[] {
    const share = pow(step, -this.settings.decayRate)
    return [sub(1, share), share]
  }

  protected override move({ parameter, gradient, state, lr, factors, weightDecay }: Move): NextSlot {
    const { eps, clippingThreshold, scaleByParameter, momentum, minSizeToFactor } = this.settings
    const [keep, share] = factors as readonly [Tensor, Tensor]
    const moved = (name: string, value: Tensor): Tensor => add(mul(state[name] as Tensor, keep), mul(value, share))
    const square = add(mul(gradient, gradient), eps)
    const axes = factoredAxes(parameter.shape, minSizeToFactor)
    const next: Record<string, Tensor> = {}
    let update: Tensor
    if (axes) {
      const [second, longest] = axes
      const rows = moved('rows', mean(square, { axes: longest }))
      const columns = moved('columns', mean(square, { axes: second }))
      const total = mean(rows, { axes: second > longest ? second - 1 : second, keepDims: true })
      update = mul(mul(gradient, unsqueeze(rsqrt(div(rows, total)), longest)), unsqueeze(rsqrt(columns), second))
      Object.assign(next, { rows, columns })
    } else {
      const moment = moved('square', square)
      update = mul(gradient, rsqrt(moment))
      Object.assign(next, { square: moment })
    }
    if (clippingThreshold !== null) {
      update = div(update, maximum(div(sqrt(mean(mul(update, update))), clippingThreshold), 1))
    }
    update = mul(update, lr)
    if (scaleByParameter) {
      const size = sqrt(mean(mul(parameter, parameter)))
      update = mul(update, where(le(size, 1e-3), 1e-3, size))
    }
    if (momentum > 0) {
      update = add(mul(state['momentum'] as Tensor, momentum), mul(update, 1 - momentum))
      next['momentum'] = update
    }
    return { parameter: sub(parameter, decayed(update, parameter, weightDecay)), state: next }
  }
}

function stateOf(
  { shape, dtype }: Parameter,
  { minSizeToFactor, momentum }: { readonly minSizeToFactor: number; readonly momentum: number },
): State {
  const zero = (extents: Shape): Tensor => zeros(extents, { dtype: statisticOf(dtype) })
  const axes = factoredAxes(shape, minSizeToFactor)
  const moments = axes
    ? {
        rows: zero(shape.filter((_, axis) => axis !== axes[1])),
        columns: zero(shape.filter((_, axis) => axis !== axes[0])),
      }
    : { square: zero(shape) }
  return { ...moments, ...(momentum > 0 && { momentum: zero(shape) }) }
}
