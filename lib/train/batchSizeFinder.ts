// How many samples fit into a step, and how many a step does best at: doubled until the memory does not suffice.
import type { Parameter } from '../cell.js'
import { disposeBatch } from '../data/tensors.js'
import type { Module } from '../nn/module.js'
import { integerFrom } from '../ops/arguments.js'
import type { Optimizer } from '../optim/optimizer.js'
import { OutOfMemoryError } from '../runtime/errors.js'
import type { Outcome } from './objective.js'
import { leavingNoTrace } from './snapshot.js'
import { TrainingStep, type TrainingStepOptions } from './trainingStep.js'

export interface BatchSizeFinderOptions<M extends Module, B extends object, O extends Outcome>
  extends Pick<TrainingStepOptions<M, B, O>, 'loss' | 'precision' | 'clipNorm'> {
  readonly optimizer: (parameters: Parameter[]) => Optimizer
  /** Bytes that the device's pool may hold. Default: its limit, and that is the machine's where none was set. */
  readonly memoryBytes?: number
  /** Samples to begin with. Default 1. */
  readonly least?: number
  /** Samples to end with at the latest. Default 4096. */
  readonly most?: number
  /** Timed steps of each size, after one that is not. Default 3. */
  readonly steps?: number
}

export interface BatchSizeTrial {
  readonly samples: number
  /** Of a step, the median. */
  readonly milliseconds: number
  readonly samplesPerSecond: number
}

export interface BatchSizes {
  readonly trials: readonly BatchSizeTrial[]
  /** The most that fit, of the sizes tried. */
  readonly largest: number
  /** The one with the most samples a second. */
  readonly fastest: number
}

/**
 * Trains on batches of `least`, twice as many, and so on, until one does not fit or `most` is reached. `makeBatch` gives a
 * batch of so many samples, which is disposed afterwards. The model and the random state are as before at the end. Throws
 * `OutOfMemoryError` where not even `least` fit.
 *
 * @example const { largest, fastest } = await findBatchSize(model, (n) => ({ x: randomNormal([n, 784]) }), { loss, optimizer })
 */
export function findBatchSize<M extends Module, B extends object, O extends Outcome = Outcome>(
  model: M,
  makeBatch: (samples: number) => B | Promise<B>,
  options: BatchSizeFinderOptions<M, B, O>,
): Promise<BatchSizes> {
  const { least = 1, most = 4096, steps = 3, memoryBytes, optimizer: make, ...step } = options
  integerFrom('findBatchSize', 'least', least, 1)
  integerFrom('findBatchSize', 'most', most, least)
  integerFrom('findBatchSize', 'steps', steps, 1)
  return leavingNoTrace(model, undefined, async () => {
    model.train()
    const optimizer = make(model.parameters({ trainable: true }))
    const { device } = optimizer.parameters[0] as Parameter
    const { limit } = device.memory()
    if (memoryBytes !== undefined) device.setMemoryLimit(memoryBytes)
    const trials: BatchSizeTrial[] = []
    try {
      for (let samples = least; samples <= most; samples *= 2) {
        const batch = await makeBatch(samples)
        try {
          const trial = await timed(model, batch, samples, steps, { ...step, optimizer })
          if (!trial) break
          trials.push(trial)
        } finally {
          disposeBatch(batch)
        }
      }
    } finally {
      if (memoryBytes !== undefined)
        device.setMemoryLimit(limit >= Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : limit)
    }
    const [first] = trials
    if (!first) throw new OutOfMemoryError(`findBatchSize: a step with ${least} samples does not fit into the memory`)
    const fastest = trials.reduce((a, b) => (b.samplesPerSecond > a.samplesPerSecond ? b : a), first)
    return { trials, largest: (trials.at(-1) as BatchSizeTrial).samples, fastest: fastest.samples }
  })
}

/** Undefined where it does not fit. */
async function timed<M extends Module, B extends object, O extends Outcome>(
  model: M,
  batch: B,
  samples: number,
  steps: number,
  options: TrainingStepOptions<M, B, O>,
): Promise<BatchSizeTrial | undefined> {
  let fits = true
  const stepper = new TrainingStep<M, B, O>(model, {
    ...options,
    nonFinite: 'ignore',
    onMicroBatch: () => {
      fits = false
    },
  })
  const times: number[] = []
  try {
    for (let i = 0; i <= steps; i++) {
      const begun = performance.now()
      await (await stepper.run(batch)).figures
      if (!fits) return undefined
      if (i > 0) times.push(performance.now() - begun)
    }
  } catch (error) {
    if (error instanceof OutOfMemoryError) return undefined
    throw error
  } finally {
    stepper.dispose()
  }
  const milliseconds = times.sort((a, b) => a - b)[times.length >> 1] as number
  return { samples, milliseconds, samplesPerSecond: (samples * 1000) / milliseconds }
}
