// What a loss function gives for a batch, and what metrics take of it.
import type { Module } from '../nn/module.js'
import { full } from '../ops/create.js'
import { ArgumentError, DTypeError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { isFloat } from '../schema/dtype.js'
import { formatShape } from '../schema/shape.js'
import { scope, Tensor } from '../tensor.js'
import type { TensorFields } from './batch.js'
import { Metric } from './metrics/metric.js'

/** A batch's loss, and what else is known of it. */
export interface Outcome {
  /** The mean over the batch, a float [] . */
  readonly loss: Tensor
  /**
   * How much this batch's loss and gradients count beside those of the other parts of one step, and in a mean over
   * batches: a number or a tensor [], such as the number of tokens that are no padding. Default: the number of samples.
   */
  readonly weight?: Tensor | number
  /** What metrics compare with `targets`. */
  readonly predictions?: Tensor
  readonly targets?: Tensor
}

/** Gives the loss of a batch, alone or with more. It is traced: it records ops and reads nothing. */
export type Objective<M extends Module, B extends object, O extends Outcome = Outcome> = (
  model: M,
  batch: TensorFields<B>,
) => Tensor | O

/** A metric that compares predictions and targets. */
export type PairMetric = Metric<unknown> & { update(predictions: Tensor, targets: Tensor): void }

/** Any metric, with how it takes an outcome in: `measure` calls its `update`. */
export interface MeasuredMetric<B extends object, O extends Outcome> {
  readonly metric: Metric<unknown>
  measure(outcome: O, batch: TensorFields<B>): void
}

/** Metrics by name. One that is no `PairMetric` comes with its `measure`. */
export type Metrics<B extends object, O extends Outcome> = Readonly<Record<string, PairMetric | MeasuredMetric<B, O>>>

/** The outcome of a loss function's result. Throws where there is no scalar loss of floats. */
export function outcomeOf<O extends Outcome>(result: Tensor | O): O {
  const outcome = result instanceof Tensor ? { loss: result } : result
  if (!((outcome as Outcome | undefined)?.loss instanceof Tensor)) {
    throw new ArgumentError(`loss: it must give a tensor or { loss, ... }, not ${describe(result)}`)
  }
  const { dtype, shape } = outcome.loss
  if (shape.length > 0)
    throw new ShapeError(`loss: it is ${formatShape(shape)}; take its mean or sum, a loss has the shape []`)
  if (!isFloat(dtype)) throw new DTypeError(`loss: it is ${dtype}, and only floats have gradients`)
  return outcome as O
}

/** An outcome's weight, f64[] or as it was given. */
export function weightOf({ weight }: Outcome, samples: number): Tensor {
  if (weight instanceof Tensor) return weight
  const count = weight ?? samples
  if (!(count >= 0 && Number.isFinite(count)))
    throw new ArgumentError(`loss: the weight must be a number from 0 up, not ${describe(weight)}`)
  return full([], count, { dtype: 'f64' })
}

/** The metric behind an entry. */
export const metricOf = <B extends object, O extends Outcome>(
  entry: PairMetric | MeasuredMetric<B, O>,
): Metric<unknown> => (entry instanceof Metric ? entry : entry.metric)

/** What all metrics say, by name. */
export async function resultsOf<B extends object, O extends Outcome>(
  metrics: Metrics<B, O>,
): Promise<Record<string, unknown>> {
  const results = Object.entries(metrics).map(async ([name, entry]) => [name, await metricOf(entry).result()] as const)
  return Object.fromEntries(await Promise.all(results))
}

/** All metrics forget what they have seen. */
export const reset = <B extends object, O extends Outcome>(metrics: Metrics<B, O>): Promise<void> =>
  scope(async () => {
    for (const entry of Object.values(metrics)) metricOf(entry).reset()
  })

/** Takes an outcome into all metrics. Throws `ArgumentError` where one has nothing to compare. */
export function measure<B extends object, O extends Outcome>(
  metrics: Metrics<B, O>,
  outcome: O,
  batch: TensorFields<B>,
): void {
  for (const [name, entry] of Object.entries(metrics)) {
    if (!(entry instanceof Metric)) {
      entry.measure(outcome, batch)
      continue
    }
    const { predictions, targets } = outcome
    if (!predictions || !targets) {
      throw new ArgumentError(
        `train: the metric '${name}' compares predictions with targets: let the loss function give { loss, predictions, targets }, or give the metric as { metric, measure }`,
      )
    }
    entry.update(predictions, targets)
  }
}

/** Throws `ArgumentError` unless every entry is a metric or has one. */
export function checkMetrics(metrics: unknown): void {
  if (typeof metrics !== 'object' || metrics === null || Array.isArray(metrics))
    throw new ArgumentError(`train: metrics are an object of metrics by name, not ${describe(metrics)}`)
  for (const [name, entry] of Object.entries(metrics as Readonly<Record<string, unknown>>)) {
    const { metric, update, measure } = (entry ?? {}) as { metric?: unknown; update?: unknown; measure?: unknown }
    if (
      entry instanceof Metric ? typeof update === 'function' : metric instanceof Metric && typeof measure === 'function'
    )
      continue
    throw new ArgumentError(
      `train: the metric '${name}' is ${describe(entry)}, neither a metric nor { metric, measure }`,
    )
  }
}
