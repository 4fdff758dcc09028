// Validation along a run: the model, or its average, on data it does not learn from, and the parameters of the best result.
import type { Module } from '../nn/module.js'
import type { ExponentialMovingAverage } from '../optim/average.js'
import type { StateDict } from '../state.js'
import { scope } from '../tensor.js'
import type { EarlyStopping } from './earlyStopping.js'
import { Evaluation, type EvaluationOptions, type EvaluationResult, numbersOf } from './evaluation.js'
import type { Interruption } from './interruption.js'
import type { LogValues } from './log.js'
import type { Outcome } from './objective.js'
import type { ValidationOptions } from './options.js'

export class Validation<M extends Module, B extends object, O extends Outcome> {
  /** The step of the last one. */
  step = 0
  /** What the last one gave. */
  result: EvaluationResult | undefined
  /** The state of the model at the best figure that early stopping has seen. */
  best: StateDict | undefined
  private readonly evaluation: Evaluation<M, B, O>

  constructor(
    private readonly model: M,
    private readonly options: ValidationOptions<B, O>,
    { loss, precision }: Pick<EvaluationOptions<M, B, O>, 'loss' | 'precision'>,
    private readonly average: ExponentialMovingAverage | undefined,
    private readonly stopping: EarlyStopping | undefined,
    private readonly interruption: Interruption,
  ) {
    this.evaluation = new Evaluation<M, B, O>(model, { loss, precision, metrics: options.metrics })
  }

  /** Whether it comes at the end of each epoch. */
  get perEpoch(): boolean {
    return this.options.every === undefined
  }

  /** Whether one belongs to a step, at the end of an epoch or not. */
  dueAt(step: number): boolean {
    const { every } = this.options
    return every !== undefined && step > 0 && step % every === 0
  }

  /** The figures at a step; undefined where the run was interrupted meanwhile. The model is in its training mode afterwards. */
  async run(step: number): Promise<LogValues | undefined> {
    const { average, stopping, model } = this
    await scope(async () => average?.swap())
    try {
      this.result = await this.evaluation.run(this.options.data, this.interruption.abort)
      this.step = step
      const figures = numbersOf('validation', this.result)
      if (stopping?.update(step, figures) && stopping.restoreBest) this.best = await model.stateDict({ bits: true })
      return figures
    } catch (error) {
      if (this.interruption.reason === undefined) throw error
      return undefined
    } finally {
      await scope(async () => average?.restore())
      model.train()
    }
  }
}
