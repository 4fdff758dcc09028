// Means of numbers that steps give: a loss, and what it means for a language model.

import { numberIn } from '../../ops/arguments.js'
import { full } from '../../ops/create.js'
import { cast, gt, mul, where } from '../../ops/element.js'
import { sum } from '../../ops/reduce.js'
import { ArgumentError } from '../../runtime/errors.js'
import { Tensor } from '../../tensor.js'
import { Metric, only } from './metric.js'

/** The mean of numbers, such as the losses of batches, each counted `weight` times. */
export class Mean extends Metric {
  constructor() {
    super('Mean', { total: { dtype: 'f64' }, weight: { dtype: 'f64' } })
  }

  /**
   * Adds a scalar with `weight` (default 1; the batch's size where batches differ; a number or a tensor []), or every
   * element of a tensor with weight 1. A scalar of weight 0 adds nothing, not even NaN. Throws `ArgumentError` for a
   * weight below 0.
   */
  update(value: Tensor, weight: number | Tensor = 1): void {
    if (typeof weight === 'number') numberIn('Mean', 'weight', weight, 0)
    if (value.shape.length > 0 && weight !== 1)
      throw new ArgumentError(`Mean: only a scalar has a weight, not a tensor of shape [${value.shape}]`)
    const given = weight instanceof Tensor ? cast(weight, 'f64') : full([], weight * value.size, { dtype: 'f64' })
    const total = sum(cast(value, 'f64'))
    if (weight === 1) return this.add({ total, weight: given })
    this.add({ total: where(gt(given, 0), mul(total, given), 0), weight: given })
  }

  override async result(): Promise<number> {
    const { total, weight } = await this.read()
    return only(total) / only(weight)
  }
}

/** exp of the mean cross entropy per token, in nats: of how many tokens a language model is as unsure as of equal ones. */
export class Perplexity extends Mean {
  override async result(): Promise<number> {
    return Math.exp(await super.result())
  }
}
