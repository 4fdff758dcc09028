// Teachers that are no larger: students of themselves (born-again networks) and of one another (deep mutual learning).

import type { Parameter } from '../cell.js'
import { Module } from '../nn/module.js'
import { integerFrom, numberIn, optionsOf } from '../ops/arguments.js'
import { crossEntropy } from '../ops/crossEntropy.js'
import { add, mul } from '../ops/element.js'
import type { Optimizer } from '../optim/optimizer.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { Tensor } from '../tensor.js'
import type { TensorFields } from '../train/batch.js'
import type { Run, TrainingData, TrainOptions } from '../train/options.js'
import { train } from '../train/train.js'
import { type DistillOptions, distill } from './distill.js'
import { softTargets } from './losses/soft.js'
import { logitsOf, type Outputs } from './outputs.js'

export interface BornAgainOptions<S extends Module, B extends object, R extends Outputs>
  extends Omit<DistillOptions<S, S, B, R>, 'optimizer' | 'checkpoint' | 'report' | 'logs' | 'weights' | 'combine'> {
  /** Makes each generation's optimizer. */
  readonly optimizer: (parameters: Parameter[]) => Optimizer
  /** How many students, each the next one's teacher. Default 1. */
  readonly generations?: number
}

/**
 * Born-again networks (Furlanello et al. 2018): a fresh model learns from its like, and is then the teacher of the next. Gives
 * the run of each generation; all of them together make an ensemble. Options and errors as `distill`.
 */
export async function bornAgain<S extends Module, B extends object, R extends Outputs>(
  make: () => S,
  teacher: S,
  data: TrainingData<B>,
  options: BornAgainOptions<S, B, R>,
): Promise<readonly Run<S>[]> {
  const { generations = 1, ...rest } = optionsOf('bornAgain', options)
  integerFrom('bornAgain', 'generations', generations, 1)
  const runs: Run<S>[] = []
  for (let generation = 0; generation < generations; generation++)
    runs.push(await distill(make(), runs.at(-1)?.model ?? teacher, data, rest as DistillOptions<S, S, B, R>))
  return runs
}

/** Models that are trained together. */
export class Cohort<S extends Module = Module> extends Module {
  constructor(readonly members: readonly S[]) {
    super()
  }
}

export interface MutualOptions<S extends Module, B extends object>
  extends Omit<TrainOptions<Cohort<S>, B, MutualOutcome>, 'loss'> {
  readonly forward: (model: S, batch: TensorFields<B>) => Outputs
  /** The right classes of a batch. */
  readonly labels: (batch: TensorFields<B>) => Tensor
  /** Of what they tell one another. Default 1. */
  readonly temperature?: number
  /** How much the others count beside the labels. Default 1. */
  readonly share?: number
}

/** Predictions are those of the first model. */
export interface MutualOutcome {
  readonly loss: Tensor
  readonly predictions: Tensor
  readonly targets: Tensor
}

/**
 * Deep mutual learning (Zhang et al. 2018), or online distillation: models are trained together, each on the labels and on the
 * mean divergence from what the others say at the moment. The run's `model` is the `Cohort` of all. Throws as `train` does.
 */
export async function distillMutually<S extends Module, B extends object>(
  models: readonly S[],
  data: TrainingData<B>,
  options: MutualOptions<S, B>,
): Promise<Run<Cohort<S>>> {
  const op = 'distillMutually'
  const { forward, labels, temperature = 1, share = 1, ...training } = optionsOf(op, options)
  numberIn(op, 'share', share, 0)
  const given: unknown = models
  if (!Array.isArray(given) || given.length < 2 || !given.every((model) => model instanceof Module))
    throw new ArgumentError(`${op}: it takes at least two models, not ${describe(given)}`)
  return train<Cohort<S>, B, MutualOutcome>(new Cohort<S>(models), data, {
    ...(training as Omit<TrainOptions<Cohort<S>, B, MutualOutcome>, 'loss'>),
    loss: ({ members }, batch) => {
      const logits = members.map((model) => logitsOf(op, forward(model, batch)))
      const targets = labels(batch)
      const losses = logits.map((own, i) => {
        const others = logits.filter((_, j) => j !== i)
        const heard = softTargets(own, others, { temperature, combine: 'losses' })
        return add(crossEntropy(own, targets), mul(heard, share))
      })
      return { loss: losses.reduce((a, b) => add(a, b)), predictions: logits[0] as Tensor, targets }
    },
  })
}
