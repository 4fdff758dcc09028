// How far predicted numbers are from the true ones.

import { full } from '../../ops/create.js'
import { abs, cast, mul, sub } from '../../ops/element.js'
import { sum } from '../../ops/reduce.js'
import { ShapeError } from '../../runtime/errors.js'
import { formatShape, sameShape } from '../../schema/shape.js'
import type { Tensor } from '../../tensor.js'
import { Metric, only } from './metric.js'

/** Prediction and target in f64; of one shape: one that broadcasts is nearly always a mistake. */
function pair(name: string, prediction: Tensor, target: Tensor): [Tensor, Tensor] {
  if (!sameShape(prediction.shape, target.shape)) {
    throw new ShapeError(
      `${name}: the prediction has shape ${formatShape(prediction.shape)}, the target ${formatShape(target.shape)}; they must be equal`,
    )
  }
  return [cast(prediction, 'f64'), cast(target, 'f64')]
}

const countOf = ({ size }: Tensor): Tensor => full([], size, { dtype: 'i64' })

/** The mean of |prediction - target| over all elements. */
export class MeanAbsoluteError extends Metric {
  constructor() {
    super('MeanAbsoluteError', { error: { dtype: 'f64' }, count: { dtype: 'i64' } })
  }

  /** Adds a batch of numbers of one shape. Throws `ShapeError`. */
  update(prediction: Tensor, target: Tensor): void {
    const [p, t] = pair('MeanAbsoluteError', prediction, target)
    this.add({ error: sum(abs(sub(p, t))), count: countOf(target) })
  }

  override async result(): Promise<number> {
    const { error, count } = await this.read()
    return only(error) / only(count)
  }
}

/** The mean of (prediction - target)^2 over all elements. */
export class MeanSquaredError extends Metric {
  constructor() {
    super('MeanSquaredError', { error: { dtype: 'f64' }, count: { dtype: 'i64' } })
  }

  /** Adds a batch of numbers of one shape. Throws `ShapeError`. */
  update(prediction: Tensor, target: Tensor): void {
    const [p, t] = pair('MeanSquaredError', prediction, target)
    const difference = sub(p, t)
    this.add({ error: sum(mul(difference, difference)), count: countOf(target) })
  }

  override async result(): Promise<number> {
    const { error, count } = await this.read()
    return only(error) / only(count)
  }
}

/**
 * The coefficient of determination, 1 - sum((t - p)^2) / sum((t - mean(t))^2) over all elements: 1 is perfect, 0 as good as
 * the mean. Where all targets are equal it is 1 for a perfect prediction, else 0, as in scikit-learn.
 */
export class R2 extends Metric {
  constructor() {
    const number = { dtype: 'f64' } as const
    super('R2', { error: number, total: number, squares: number, count: { dtype: 'i64' } })
  }

  /** Adds a batch of numbers of one shape. Throws `ShapeError`. */
  update(prediction: Tensor, target: Tensor): void {
    const [p, t] = pair('R2', prediction, target)
    const difference = sub(p, t)
    this.add({
      error: sum(mul(difference, difference)),
      total: sum(t),
      squares: sum(mul(t, t)),
      count: countOf(target),
    })
  }

  override async result(): Promise<number> {
    const { error, total, squares, count } = await this.read()
    if (only(count) === 0) return Number.NaN
    const spread = only(squares) - only(total) ** 2 / only(count)
    // Of equal targets only rounding is left.
    if (spread <= 1e-13 * only(squares)) return only(error) === 0 ? 1 : 0
    return 1 - only(error) / spread
  }
}
