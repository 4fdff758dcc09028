// Measuring a model on data it does not learn from: the mean loss and metrics, as one compiled function per batch.
import { type Compiled, compile } from '../compile.js'
import type { Module } from '../nn/module.js'
import { autocast, type Precision } from '../ops/autocast.js'
import { samplesOf, type TensorFields, tensorFields } from './batch.js'
import { Mean } from './metrics/mean.js'
import {
  checkMetrics,
  type Metrics,
  measure,
  type Objective,
  type Outcome,
  outcomeOf,
  reset,
  resultsOf,
  weightOf,
} from './objective.js'

export interface EvaluationOptions<M extends Module, B extends object, O extends Outcome> {
  readonly loss: Objective<M, B, O>
  /** What is measured besides the loss. Default: nothing. */
  readonly metrics?: Metrics<B, O> | undefined
  /** What products are computed in. Default `f32`: what the parameters are. */
  readonly precision?: Precision | undefined
}

/** The mean loss as `loss`, and what each metric says, by name. */
export type EvaluationResult = Readonly<Record<string, unknown>> & { readonly loss: number }

/** Evaluates a model again and again; its compiled function and its metrics are kept between times. */
export class Evaluation<M extends Module, B extends object, O extends Outcome = Outcome> {
  private readonly mean = new Mean()
  private readonly metrics: Metrics<B, O>
  private readonly step: Compiled<[TensorFields<B>], []>

  constructor(
    private readonly model: M,
    { loss, metrics = {}, precision = 'f32' }: EvaluationOptions<M, B, O>,
  ) {
    checkMetrics(metrics)
    this.metrics = metrics
    this.step = compile(
      (batch: TensorFields<B>): [] => {
        const outcome = autocast(precision, () => outcomeOf(loss(model, batch)))
        this.mean.update(outcome.loss, weightOf(outcome, samplesOf(batch)))
        measure(metrics, outcome, batch)
        return []
      },
      { name: 'the evaluation' },
    )
  }

  /**
   * The mean loss over the batches, each counted by its weight, and the metrics over all of them. The model is in the mode
   * for inference meanwhile. `signal` ends it after a batch, with its reason as the error.
   */
  async run(data: AsyncIterable<B>, signal?: AbortSignal): Promise<EvaluationResult> {
    const { training } = this.model
    const { metrics, mean } = this
    this.model.eval()
    try {
      await reset({ ...metrics, loss: { metric: mean, measure: () => {} } })
      for await (const batch of data) {
        signal?.throwIfAborted()
        await this.step(tensorFields<B>(batch))
      }
      return { ...(await resultsOf(metrics)), loss: await mean.result() }
    } finally {
      this.model.train(training)
    }
  }
}

/**
 * The mean loss and the metrics of a model over the batches of `data`, in the mode for inference.
 *
 * @example const { loss, accuracy } = await evaluate(model, test, { loss, metrics: { accuracy: new Accuracy() } })
 */
export function evaluate<M extends Module, B extends object, O extends Outcome = Outcome>(
  model: M,
  data: AsyncIterable<B>,
  options: EvaluationOptions<M, B, O>,
): Promise<EvaluationResult> {
  return new Evaluation<M, B, O>(model, options).run(data)
}

/** The results that are numbers, under `group/name`. */
export const numbersOf = (group: string, result: Readonly<Record<string, unknown>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(result).flatMap(([name, value]) => (typeof value === 'number' ? [[`${group}/${name}`, value]] : [])),
  )
