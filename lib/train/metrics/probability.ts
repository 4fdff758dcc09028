// What probabilities are worth: how well they rank, and whether they are what they say.
import { integerFrom } from '../../ops/arguments.js'
import { ones, zeros } from '../../ops/create.js'
import { cast, eq, floor, ge, le, logicalAnd, minimum, mul, where } from '../../ops/element.js'
import { argmax, scatterAdd } from '../../ops/gather.js'
import { max } from '../../ops/reduce.js'
import { reshape } from '../../ops/view.js'
import { ShapeError } from '../../runtime/errors.js'
import { formatShape, sameShape } from '../../schema/shape.js'
import type { Tensor } from '../../tensor.js'
import { Metric } from './metric.js'

/** The bin of each probability: `bins` of equal width, 1 in the last one. What is no probability fails the run. */
function binOf(probabilities: Tensor, bins: number): Tensor {
  const wide = cast(probabilities, 'f64')
  const valid = logicalAnd(ge(wide, 0), le(wide, 1))
  return cast(where(valid, floor(minimum(mul(wide, bins), bins - 0.5)), -1), 'i32')
}

/** The sums of `values` by bin. */
const byBin = (index: Tensor, values: Tensor, bins: number): Tensor =>
  scatterAdd(zeros([bins], { dtype: values.dtype }), index, values, { axis: 0 })

/**
 * The area under the ROC curve: how often a positive gets a higher probability than a negative (equal ones count half).
 * Probabilities are put into `bins`, and those in one bin count as equal: the result is off by at most half the share of
 * pairs that meet in one.
 */
export class AUC extends Metric {
  private readonly bins: number

  constructor({ bins = 65_536 }: { readonly bins?: number } = {}) {
    const count = integerFrom('AUC', 'bins', bins, 2)
    super('AUC', { positives: { shape: [count], dtype: 'i64' }, negatives: { shape: [count], dtype: 'i64' } })
    this.bins = count
  }

  /** Adds probabilities of the positive class and targets (0 or 1) of one shape. Throws `ShapeError`. */
  update(probabilities: Tensor, targets: Tensor): void {
    if (!sameShape(probabilities.shape, targets.shape)) {
      throw new ShapeError(
        `AUC: probabilities ${formatShape(probabilities.shape)} and targets ${formatShape(targets.shape)} must have one shape`,
      )
    }
    const index = reshape(binOf(probabilities, this.bins), [targets.size])
    const positive = reshape(cast(eq(targets, 1), 'i64'), [targets.size])
    const negative = reshape(cast(eq(targets, 0), 'i64'), [targets.size])
    this.add({ positives: byBin(index, positive, this.bins), negatives: byBin(index, negative, this.bins) })
  }

  override async result(): Promise<number> {
    const { positives = [], negatives = [] } = await this.read()
    let below = 0
    let won = 0
    positives.forEach((count, bin) => {
      won += count * (below + (negatives[bin] as number) / 2)
      below += negatives[bin] as number
    })
    return won / (below * positives.reduce((a, b) => a + b, 0))
  }
}

/** One bin of a reliability diagram. */
export interface CalibrationBin {
  readonly count: number
  /** Mean probability of the predicted class. */
  readonly confidence: number
  /** Share of predictions that were right. */
  readonly accuracy: number
}

export interface CalibrationResult {
  /** The mean of |accuracy - confidence| over predictions: the expected calibration error (Guo et al. 2017). */
  readonly error: number
  /** From the least to the most confident; without predictions their figures are NaN. */
  readonly bins: readonly CalibrationBin[]
}

/** Whether predictions made with a probability of 0.8 are right eight times of ten. */
export class Calibration extends Metric<CalibrationResult> {
  private readonly bins: number

  constructor({ bins = 15 }: { readonly bins?: number } = {}) {
    const count = integerFrom('Calibration', 'bins', bins, 1)
    const shape = [count]
    super('Calibration', {
      count: { shape, dtype: 'i64' },
      right: { shape, dtype: 'i64' },
      confidence: { shape, dtype: 'f64' },
    })
    this.bins = count
  }

  /** Adds probabilities [...,C] and targets [...] (i32 or i64). Throws `ShapeError`. */
  update(probabilities: Tensor, targets: Tensor): void {
    if (!sameShape(probabilities.shape.slice(0, -1), targets.shape) || probabilities.shape.length === 0) {
      throw new ShapeError(
        `Calibration: probabilities [...,classes] take targets [...]; they are ${formatShape(probabilities.shape)} and ${formatShape(targets.shape)}`,
      )
    }
    const rows = [targets.size]
    const confidence = reshape(cast(max(probabilities, { axes: -1 }), 'f64'), rows)
    const right = cast(eq(argmax(probabilities, { axis: -1 }), targets), 'i64')
    const index = binOf(confidence, this.bins)
    this.add({
      count: byBin(index, ones(rows, { dtype: 'i64' }), this.bins),
      right: byBin(index, reshape(right, rows), this.bins),
      confidence: byBin(index, confidence, this.bins),
    })
  }

  override async result(): Promise<CalibrationResult> {
    const { count = [], right = [], confidence = [] } = await this.read()
    const bins = count.map((n, bin) => ({
      count: n,
      confidence: (confidence[bin] as number) / n,
      accuracy: (right[bin] as number) / n,
    }))
    const total = count.reduce((a, b) => a + b, 0)
    const gaps = bins.map((bin) => (bin.count === 0 ? 0 : bin.count * Math.abs(bin.accuracy - bin.confidence)))
    return { error: gaps.reduce((a, b) => a + b, 0) / total, bins }
  }
}
