// Means of numbers that steps give: a loss, and what it means for a language model.

import { numberIn } from '../../ops/arguments.js'
import { full } from '../../ops/create.js'
import { cast } from '../../ops/element.js'
import { sum } from '../../ops/reduce.js'
import { ArgumentError } from '../../runtime/errors.js'
import type { Tensor } from '../../tensor.js'
import { Metric, only } from './metric.js'

/** The mean of numbers, such as the losses of batches, each counted `weight` times. */
export class Mean extends Metric {
  constructor() {
    super('Mean', { total: { dtype: 'f64' }, weight: { dtype: 'f64' } })
  }

  /**
   * Adds a scalar with `weight` (default 1; the batch's size where batches differ), or every element of a tensor with weight
   * 1. Throws `ArgumentError` for a weight below 0.
   */
  update(value: Tensor, weight = 1): void {
    numberIn('Mean', 'weight', weight, 0)
    if (value.shape.length > 0 && weight !== 1)
      throw new ArgumentError(`Mean: only a scalar has a weight, not a tensor of shape [${value.shape}]`)
    const count = full([], weight * value.size, { dtype: 'f64' })
    this.add({ total: sum(cast(value, 'f64')).mul(weight), weight: count })
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
