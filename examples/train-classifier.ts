// What the digit examples share: epochs over the digits, then the share of unseen ones that are read right.
import { DataLoader } from '../lib/data/index.js'
import { crossEntropy, type nn, optim, type Tensor } from '../lib/index.js'
import { Accuracy, evaluate, train } from '../lib/train/index.js'
import { type Digits, loadDigits } from './digits.js'

const PIXELS = 28 * 28

/** Trains `model` on the digits and gives the share of the test digits it gets right. `shape` is that of one image. */
export async function trainClassifier(
  model: nn.Layer & nn.Module,
  shape: readonly number[],
  epochs: number,
): Promise<number> {
  const samplesOf = ({ images, labels }: Digits) =>
    Array.from(labels, (label, i) => ({
      image: { data: images.subarray(i * PIXELS, (i + 1) * PIXELS), shape, dtype: 'f32' as const },
      label,
    }))
  const digits = loadDigits()
  const dtypes = { label: 'i32' } as const
  const loss = (network: typeof model, { image, label }: { image: Tensor; label: Tensor }) => {
    const predictions = network.forward(image)
    return { loss: crossEntropy(predictions, label), predictions, targets: label }
  }
  await train(
    model,
    new DataLoader(samplesOf(digits.train), { batchSize: 64, shuffle: true, dropLast: true, dtypes }),
    {
      loss,
      optimizer: (parameters) => new optim.AdamW(parameters, { lr: 1e-3 }),
      epochs,
    },
  )
  const test = new DataLoader(samplesOf(digits.test), { batchSize: 250, dtypes })
  const { accuracy } = await evaluate(model, test, { loss, metrics: { accuracy: new Accuracy() } })
  return Number(accuracy)
}
