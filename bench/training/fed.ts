// Whether the loader keeps the device busy: how often its queue is empty while a CNN trains, by the number of workers.
import { DataLoader, fromModule, type HostArray } from '../../lib/data/index.js'
import { crossEntropy, optim, type Tensor } from '../../lib/index.js'
import { train } from '../../lib/train/index.js'
import { benchmark } from '../models.js'
import { QueueSampler } from './sampler.js'

/** Steps that are not counted. */
const WARM_UP = 20

export interface FedRow {
  readonly workers: number
  readonly stepsPerSecond: number
  /** Share of moments, a millisecond apart, at which the device had nothing to do. */
  readonly idle: number
}

/** Trains the CNN on augmented digits in batches of 64 for `steps` steps, after some that are not counted. */
export async function fed(workers: number, steps: number): Promise<FedRow> {
  const { model } = benchmark('cnn')
  const samples = await fromModule<{ image: HostArray; label: number }>(new URL('./digits.js', import.meta.url).href, {
    export: 'augmented',
  })
  const loader = new DataLoader(samples, {
    batchSize: 64,
    shuffle: true,
    workers,
    keepWorkers: true,
    dtypes: { label: 'i32' },
  })
  const sampler = new QueueSampler()
  let begun = 0
  let ended = 0
  let idle = Number.NaN
  try {
    await train(model, loader, {
      loss: (network, { image, label }: { image: Tensor; label: Tensor }) =>
        crossEntropy(network.forward(image), label),
      optimizer: (parameters) => new optim.AdamW(parameters, { lr: 1e-3 }),
      steps: WARM_UP + steps,
      progress: false,
      callbacks: [
        {
          onStep: async ({ step }) => {
            if (step === WARM_UP) {
              await sampler.begin()
              begun = performance.now()
            } else if (step === WARM_UP + steps) {
              ended = performance.now()
              idle = await sampler.end()
            }
          },
        },
      ],
    })
  } finally {
    await loader.close()
  }
  return { workers, stepsPerSecond: (steps * 1000) / (ended - begun), idle }
}
