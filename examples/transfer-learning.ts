// Digits from few examples: a network that knows 0 to 4 learns 5 to 9 from 20 of each, beside one that knows nothing.
//   node dist/examples/transfer-learning.js [--full] [--json FILE]
import { DataLoader, dataset } from '../lib/data/index.js'
import { crossEntropy, nn, optim, schedule, seed, type Tensor } from '../lib/index.js'
import { Accuracy, evaluate, train } from '../lib/train/index.js'
import { features, layerwiseDecay, replaceHead } from '../lib/transfer/index.js'
import { generator } from './demo/random.js'
import { type Digits, loadDigits, shuffled } from './digits.js'
import { full, report, spread } from './example.js'

const PIXELS = 28 * 28
const CLASSES = 5
const PER_CLASS = 20
const samplesOf = ({ images, labels }: Digits, wanted: (label: number) => boolean) =>
  Array.from(labels)
    .map((label, i) => ({
      image: { data: images.subarray(i * PIXELS, (i + 1) * PIXELS), shape: [1, 28, 28], dtype: 'f32' as const },
      label: label % CLASSES,
      known: wanted(label),
    }))
    .filter(({ known }) => known)
    .map(({ image, label }) => ({ image, label }))
const digits = loadDigits()
const before = samplesOf(digits.train, (label) => label < CLASSES).slice(0, full ? undefined : 1500)
const after = samplesOf(digits.train, (label) => label >= CLASSES)
const loader = (samples: typeof before, batchSize: number, shuffle = false) =>
  new DataLoader(dataset(samples), { batchSize, shuffle, dtypes: { label: 'i32' } })
const test = loader(
  samplesOf(digits.test, (label) => label >= CLASSES),
  250,
)

const makeNetwork = () => {
  const { BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } = nn
  const block = (from: number, to: number) =>
    new Sequential(new Conv2d(from, to, 3, { padding: 1 }), new BatchNorm2d(to), new ReLU(), new MaxPool2d(2))
  const last = new Sequential(new Flatten(), new Linear(32 * 7 * 7, 64), new ReLU())
  return new Sequential(block(1, 16), block(16, 32), last, new Linear(64, CLASSES))
}
type Batch = { image: Tensor; label: Tensor }
const loss = (network: nn.Module & nn.Layer, { image, label }: Batch) => {
  const predictions = network.forward(image)
  return { loss: crossEntropy(predictions, label), predictions, targets: label }
}
const rate = (peak: number) => schedule.warmupCosine({ peak, warmup: 5 })
const accuracyOf = async (network: ReturnType<typeof makeNetwork>): Promise<number> =>
  Number((await evaluate(network, test, { loss, metrics: { accuracy: new Accuracy() } }))['accuracy'])

async function run(number: number) {
  seed(number)
  const order = shuffled(after.length, generator(number)).map((i) => after[i] as (typeof after)[number])
  const few = [0, 1, 2, 3, 4].flatMap((label) => order.filter((sample) => sample.label === label).slice(0, PER_CLASS))
  const fit = async (network: ReturnType<typeof makeNetwork>, decay: number): Promise<number> => {
    const optimizer = new optim.AdamW(layerwiseDecay(network, { decay }), { lr: rate(2e-3), weightDecay: 0.05 })
    await train(network, loader(few, 25, true), { loss, optimizer, epochs: full ? 60 : 25, progress: false })
    return accuracyOf(network)
  }
  const scratch = await fit(makeNetwork(), 1)
  const network = makeNetwork()
  const adamw = (parameters: ReturnType<typeof network.parameters>) => new optim.AdamW(parameters, { lr: rate(2e-3) })
  await train(network, loader(before, 64, true), { loss, optimizer: adamw, epochs: full ? 8 : 3, progress: false })

  // The layers as they are, with a new head on what they make of the images.
  const head = replaceHead(network, CLASSES)
  const encoder = new nn.Sequential(...network.layers.slice(0, -1))
  const cached = await features(encoder, loader(few, 50), (model, { image, label }) => ({
    x: model.forward(image),
    label,
  }))
  await train(head, new DataLoader(cached, { batchSize: 25, shuffle: true, dtypes: { label: 'i32' } }), {
    loss: (layer, { x, label }) => crossEntropy(layer.forward(x), label),
    optimizer: (parameters) => new optim.AdamW(parameters, { lr: rate(1e-2) }),
    epochs: 40,
    progress: false,
  })
  const probe = await accuracyOf(network)
  return { scratch, probe, transferred: await fit(network, 0.6) }
}

const runs: Awaited<ReturnType<typeof run>>[] = []
for (let number = 1; number <= (full ? 5 : 1); number++) runs.push(await run(number))
const percent = (kind: keyof (typeof runs)[number]) => spread(runs.map((one) => 100 * one[kind]))
const [scratch, probe, transferred] = [percent('scratch'), percent('probe'), percent('transferred')]
report({ seeds: runs.length, scratch, probe, transferred, pointsGained: transferred.mean - scratch.mean })
