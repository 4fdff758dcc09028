// The training that is killed: everything in it that has state, small, and the hash of what it comes to.
import { createHash } from 'node:crypto'
import { DataLoader } from '../../lib/data/index.js'
import { crossEntropy, nn, optim, relu, schedule, seed, type Tensor } from '../../lib/index.js'
import { Accuracy, type Run, train } from '../../lib/train/index.js'

class Classifier extends nn.Module {
  first = new nn.Linear(6, 16)
  norm = new nn.BatchNorm1d(16)
  dropout = new nn.Dropout(0.2)
  last = new nn.Linear(16, 3)

  forward(x: Tensor): Tensor {
    return this.last.forward(this.dropout.forward(relu(this.norm.forward(this.first.forward(x)))))
  }
}

/** Samples whose class follows from their features. */
const samples = Array.from({ length: 86 }, (_, i) => {
  const x = Float32Array.from({ length: 6 }, (_, k) => Math.sin(i * (k + 1) * 1.7))
  return { x, y: (x[0] as number) > 0.3 ? 2 : (x[1] as number) > 0 ? 1 : 0 }
})

/** Steps of the whole run: 6 epochs of 11 batches of up to 8, two per step, the last of an epoch alone. */
export const STEPS = 36

export async function trainedRun(folder: string | undefined, onStep: (step: number) => void): Promise<Run<Classifier>> {
  seed(7)
  const data = new DataLoader(samples, { batchSize: 8, shuffle: true, seed: 3, dtypes: { y: 'i32' } })
  return train(new Classifier(), data, {
    loss: (model, { x, y }) => {
      const predictions = model.forward(x)
      return { loss: crossEntropy(predictions, y), predictions, targets: y }
    },
    optimizer: (parameters) =>
      new optim.AdamW(parameters, { lr: schedule.warmupCosine({ peak: 0.01, warmup: 5 }), weightDecay: 0.1 }),
    epochs: 6,
    accumulate: 2,
    clipNorm: 1,
    precision: 'bf16',
    average: { decay: 0.9 },
    metrics: { accuracy: new Accuracy() },
    validation: {
      data: new DataLoader(samples.slice(0, 30), { batchSize: 10, dtypes: { y: 'i32' } }),
      metrics: { accuracy: new Accuracy() },
      every: 4,
    },
    earlyStopping: { patience: 100 },
    ...(folder === undefined ? {} : { checkpoint: { folder, every: { steps: 3 } } }),
    callbacks: [{ onStep: ({ step }) => onStep(step) }],
    progress: false,
  })
}

/** A hash over all that a run came to: parameters, buffers, the optimizer's state, averages and history. */
export async function hashOf(run: Run<Classifier>): Promise<string> {
  const hash = createHash('sha256')
  for (const part of [run.model, run.optimizer, run.average as NonNullable<typeof run.average>]) {
    for (const [name, { data }] of Object.entries(await part.stateDict())) {
      hash.update(name)
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    }
  }
  const figures = (name: string): boolean => !/^(rate|time|memory)\//.test(name)
  const history = run.history.map((entry) => [
    entry.step,
    entry.epoch,
    Object.entries(entry.figures).filter(([name]) => figures(name)),
  ])
  return hash.update(JSON.stringify([run.steps, run.epochs, run.best, history])).digest('hex')
}
