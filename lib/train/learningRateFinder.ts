// The learning rate range test (Smith 2015): the rate rises step by step until the loss does.
import type { Parameter } from '../cell.js'
import type { Module } from '../nn/module.js'
import { integerFrom, numberIn } from '../ops/arguments.js'
import type { Optimizer } from '../optim/optimizer.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Outcome } from './objective.js'
import type { TrainingData } from './options.js'
import { leavingNoTrace } from './snapshot.js'
import { TrainingStep, type TrainingStepOptions } from './trainingStep.js'

export interface LearningRateFinderOptions<M extends Module, B extends object, O extends Outcome>
  extends Pick<TrainingStepOptions<M, B, O>, 'loss' | 'precision' | 'clipNorm' | 'microBatch'> {
  /** Makes the optimizer that the rate is for; its learning rate is overwritten. */
  readonly optimizer: (parameters: Parameter[]) => Optimizer
  /** The first rate. Default 1e-7. */
  readonly from?: number
  /** The last rate. Default 10. */
  readonly to?: number
  /** Default 100. */
  readonly steps?: number
  /** Share of the mean so far in the smoothed loss, from 0 to below 1. Default 0.9. */
  readonly smoothing?: number
  /** The test ends where the smoothed loss is so many times the least. Default 4. */
  readonly divergence?: number
}

export interface LearningRatePoint {
  readonly lr: number
  readonly loss: number
  readonly smoothed: number
}

export interface LearningRates {
  readonly points: readonly LearningRatePoint[]
  /** Where the smoothed loss falls fastest over the logarithm of the rate; undefined where it does not fall. */
  readonly suggestion: number | undefined
}

/**
 * Trains with learning rates that rise exponentially from `from` to `to`, and says where the loss fell fastest. Model, random
 * state and the data's position are as before afterwards.
 *
 * @example const { suggestion, points } = await findLearningRate(model, data, { loss, optimizer: (p) => new AdamW(p, { lr: 0 }) })
 */
export function findLearningRate<M extends Module, B extends object, O extends Outcome = Outcome>(
  model: M,
  data: TrainingData<B>,
  options: LearningRateFinderOptions<M, B, O>,
): Promise<LearningRates> {
  const { from = 1e-7, to = 10, steps = 100, smoothing = 0.9, divergence = 4, optimizer: make, ...step } = options
  const name = 'findLearningRate'
  numberIn(name, 'from', from, Number.MIN_VALUE)
  numberIn(name, 'to', to, from)
  integerFrom(name, 'steps', steps, 2)
  if (numberIn(name, 'smoothing', smoothing, 0, 1) === 1) throw new ArgumentError(`${name}: smoothing must be below 1`)
  numberIn(name, 'divergence', divergence, 1)
  return leavingNoTrace(model, data, async () => {
    model.train()
    const optimizer = make(model.parameters({ trainable: true }))
    const stepper = new TrainingStep<M, B, O>(model, { ...step, optimizer, nonFinite: 'ignore' })
    const points: LearningRatePoint[] = []
    let mean = 0
    let least = Number.POSITIVE_INFINITY
    try {
      for await (const batch of endless(data)) {
        const lr = from * (to / from) ** (points.length / (steps - 1))
        optimizer.lr = lr
        const { loss } = await (await stepper.run(batch)).figures
        mean = smoothing * mean + (1 - smoothing) * loss
        // Divided by the weight that the losses so far have in it (Kingma and Ba 2014).
        const smoothed = mean / (1 - smoothing ** (points.length + 1))
        if (!Number.isFinite(loss)) break
        points.push({ lr, loss, smoothed })
        least = Math.min(least, smoothed)
        if (points.length === steps || smoothed > divergence * least) break
      }
    } finally {
      stepper.dispose()
    }
    return { points, suggestion: steepest(points) }
  })
}

/** Epoch after epoch. */
async function* endless<B extends object>(data: AsyncIterable<B>): AsyncGenerator<B> {
  for (;;) {
    let empty = true
    for await (const batch of data) {
      empty = false
      yield batch
    }
    if (empty) throw new ArgumentError('findLearningRate: the data gave no batch')
  }
}

/**
 * The rate in the middle of the stretch with the steepest descent, before the least loss. A stretch is a tenth of the points,
 * and the first ones are passed over, where the mean is of few losses: between single points the noise of batches decides.
 */
function steepest(points: readonly LearningRatePoint[]): number | undefined {
  const losses = points.map(({ smoothed }) => smoothed)
  const least = losses.indexOf(Math.min(...losses))
  const width = Math.max(1, Math.round(points.length / 10))
  let best: number | undefined
  let slope = 0
  for (let i = width; i + width <= least; i++) {
    const [a, b] = [points[i] as LearningRatePoint, points[i + width] as LearningRatePoint]
    const fall = (b.smoothed - a.smoothed) / Math.log(b.lr / a.lr)
    if (fall >= slope) continue
    slope = fall
    best = Math.sqrt(a.lr * b.lr)
  }
  return best
}
