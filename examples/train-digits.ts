// Handwritten digits, shifted, turned and mixed, in bf16, with a report for a browser.
//   node dist/examples/train-digits.js [--epochs N] [--report FILE] [--json FILE]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { collate, compose, DataLoader, dataset, mixup, randomCrop, randomRotation } from '../lib/data/index.js'
import { crossEntropy, nn, optim, schedule, seed, type Tensor } from '../lib/index.js'
import { Accuracy, evaluate, train } from '../lib/train/index.js'
import { type Digits, loadDigits } from './digits.js'

const { values } = parseArgs({
  options: { epochs: { type: 'string', default: '6' }, report: { type: 'string' }, json: { type: 'string' } },
})
const PIXELS = 28 * 28
const samplesOf = ({ images, labels }: Digits) =>
  dataset(
    Array.from(labels, (label, i) => ({
      image: { data: images.subarray(i * PIXELS, (i + 1) * PIXELS), shape: [1, 28, 28], dtype: 'f32' as const },
      label,
    })),
  )
const digits = loadDigits()
const augment = compose(randomCrop({ height: 28, width: 28, padding: 2 }), randomRotation({ degrees: 10 }))
const learn = new DataLoader(
  samplesOf(digits.train).map(({ image, label }, { random }) => ({ image: augment(image, random), label })),
  // Mixed labels are probabilities of the ten classes.
  { batchSize: 64, shuffle: true, collate: (batch, { random }) => mixup(collate(batch), { classes: 10 }, random) },
)
const test = new DataLoader(samplesOf(digits.test), { batchSize: 250, dtypes: { label: 'i32' } })

seed(1)
const { BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential } = nn
const block = (from: number, to: number) => [
  new Conv2d(from, to, 3, { padding: 1 }),
  new BatchNorm2d(to),
  new ReLU(),
  new MaxPool2d(2),
]
const head = [new Flatten(), new Linear(64 * 7 * 7, 128), new ReLU(), new Dropout(0.3), new Linear(128, 10)]
const model = new Sequential(...block(1, 32), ...block(32, 64), ...head)
const loss = (network: typeof model, { image, label }: { image: Tensor; label: Tensor }) => {
  const predictions = network.forward(image)
  return { loss: crossEntropy(predictions, label), predictions, targets: label }
}
const metrics = { accuracy: new Accuracy() }
const run = await train(model, learn, {
  loss,
  optimizer: (parameters) =>
    new optim.AdamW(parameters, { lr: schedule.warmupCosine({ peak: 2e-3, warmup: 50 }), weightDecay: 0.05 }),
  epochs: Number(values.epochs),
  precision: 'bf16',
  clipNorm: 1,
  average: { decay: 0.99 },
  validation: { data: test, metrics },
  ...(values.report === undefined ? {} : { report: values.report }),
})
run.average?.swap()
const { accuracy } = await evaluate(model, test, { loss, metrics })
console.log(`${(100 * Number(accuracy)).toFixed(1)} % of the test digits are read right, after ${run.steps} steps`)
if (values.json) writeFileSync(values.json, JSON.stringify({ accuracy, steps: run.steps, seconds: run.seconds }))
