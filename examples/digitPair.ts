// A teacher that reads digits and students a tenth of its size: what the examples on distillation, cascades and sizes share.
import { DataLoader, dataset } from '../lib/data/index.js'
import { distill } from '../lib/distill/index.js'
import { crossEntropy, nn, optim, schedule, seed, type Tensor } from '../lib/index.js'
import { Accuracy, evaluate, train } from '../lib/train/index.js'
import { type Digits, loadDigits } from './digits.js'
import { full } from './example.js'

const PIXELS = 28 * 28
const samplesOf = ({ images, labels }: Digits, from: number, to: number) =>
  dataset(
    Array.from(labels.subarray(from, to), (label, i) => ({
      image: {
        data: images.subarray((from + i) * PIXELS, (from + i + 1) * PIXELS),
        shape: [1, 28, 28],
        dtype: 'f32' as const,
      },
      label,
    })),
  )

const digits = loadDigits()
const count = digits.train.labels.length
/** Digits that cascades are calibrated on; nobody learns from them. */
const HELD_OUT = full ? 2000 : 400
const learnt = full ? count - HELD_OUT : 1500
export const parts = {
  learn: samplesOf(digits.train, 0, learnt),
  heldOut: samplesOf(digits.train, count - HELD_OUT, count),
  test: samplesOf(digits.test, 0, full ? digits.test.labels.length : 400),
}
/** Digits that the students have labels of. */
const labelled = full ? 7000 : 1500
export const dtypes = { label: 'i32' } as const

export interface Batch {
  readonly image: Tensor
  readonly label: Tensor
}
export const forward = (model: nn.Sequential, { image }: Pick<Batch, 'image'>): Tensor => model.forward(image)
export const labels = ({ label }: Batch): Tensor => label

const { BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential } = nn
const block = (from: number, to: number) => [
  new Conv2d(from, to, 3, { padding: 1 }),
  new BatchNorm2d(to),
  new ReLU(),
  new MaxPool2d(2),
]
export const makeTeacher = (): nn.Sequential =>
  new Sequential(
    ...block(1, 32),
    ...block(32, 64),
    new Flatten(),
    new Linear(64 * 49, 128),
    new ReLU(),
    new Dropout(0.3),
    new Linear(128, 10),
  )
/** About 15,000 parameters to the teacher's 420,000. */
export const makeStudent = (): nn.Sequential =>
  new Sequential(
    ...block(1, 6),
    ...block(6, 12),
    new Flatten(),
    new Linear(12 * 49, 24),
    new ReLU(),
    new Linear(24, 10),
  )

export const sizeOf = (model: nn.Module): number => model.parameters().reduce((sum, { size }) => sum + size, 0)
const batches = (samples: typeof parts.learn, order: number) =>
  new DataLoader(samples, { batchSize: 64, shuffle: { seed: order }, dtypes })
const options = (epochs: number) => ({
  epochs,
  optimizer: (parameters: ReturnType<nn.Module['parameters']>) =>
    new optim.AdamW(parameters, { lr: schedule.warmupCosine({ peak: 3e-3, warmup: 20 }), weightDecay: 0.01 }),
})
export const loss = (model: nn.Sequential, batch: Batch) => {
  const predictions = forward(model, batch)
  return { loss: crossEntropy(predictions, batch.label), predictions, targets: batch.label }
}

/** The share of test digits that a model reads right. */
export async function accuracyOf(model: nn.Sequential): Promise<number> {
  const test = new DataLoader(parts.test, { batchSize: 250, dtypes })
  return Number((await evaluate(model, test, { loss, metrics: { accuracy: new Accuracy() } }))['accuracy'])
}

export async function trainedTeacher(run: number): Promise<nn.Sequential> {
  seed(run)
  return (await train(makeTeacher(), batches(parts.learn, run), { loss, ...options(full ? 8 : 3) })).model
}

const epochs = full ? 30 : 12
/** The student alone: labels are all it has. */
export async function trainedAlone(run: number): Promise<nn.Sequential> {
  seed(100 + run)
  return (await train(makeStudent(), batches(parts.learn.take(labelled), run), { loss, ...options(epochs) })).model
}

export const distillOptions = () => ({ forward, labels, temperature: 4, hardShare: 0.1, ...options(epochs) })
/** The same student, from the same start, on the same digits, with a teacher. */
export async function distilled(run: number, teacher: nn.Sequential): Promise<nn.Sequential> {
  seed(100 + run)
  return (await distill(makeStudent(), teacher, batches(parts.learn.take(labelled), run), distillOptions())).model
}
