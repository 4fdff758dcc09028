// Digits from few examples: a network that knows 0 to 4 learns 5 to 9 from 20 of each, beside one that knows nothing.
//   node dist/examples/transfer-learning.js [--full] [--json FILE]
import { DataLoader, dataset } from '../lib/data/index.js'
import { crossEntropy, nn, optim, type Parameter, schedule, seed, type Tensor } from '../lib/index.js'
import { Accuracy, evaluate, train } from '../lib/train/index.js'
import { features, layerwiseDecay, replaceHead } from '../lib/transfer/index.js'
import { generator } from './demo/random.js'
import { loadDigits, shuffled } from './digits.js'
import { full, report, spread } from './example.js'
import { type Sample, samplesOf, turnedToAllSides } from './transfer-learning/samples.js'

const CLASSES = 5
const PER_CLASS = 20
const digits = loadDigits()
const before = turnedToAllSides(samplesOf(digits.train, 0, CLASSES).slice(0, full ? undefined : 800), CLASSES)
const after = samplesOf(digits.train, CLASSES, 10)
const loader = (samples: readonly Sample[], batchSize: number, shuffle = false) =>
  new DataLoader(dataset(samples), { batchSize, shuffle, dtypes: { label: 'i32' } })
const test = loader(samplesOf(digits.test, CLASSES, 10), 250)

/** Four convolutions and the mean over the image of what they find. */
function makeNetwork(classes: number) {
  const { AdaptiveAvgPool, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } = nn
  const block = (from: number, to: number, last: nn.Module & nn.Layer = new MaxPool2d(2)) =>
    new Sequential(new Conv2d(from, to, 3, { padding: 1 }), new ReLU(), last)
  const blocks = [block(1, 16), block(16, 32), block(32, 32), block(32, 64, new AdaptiveAvgPool())]
  return new Sequential(...blocks, new Flatten(), new Linear(64, classes))
}
type Network = nn.Module & nn.Layer
const classify = (network: Network, x: Tensor, label: Tensor) => {
  const predictions = network.forward(x)
  return { loss: crossEntropy(predictions, label), predictions, targets: label }
}
const loss = (network: Network, { image, label }: { image: Tensor; label: Tensor }) => classify(network, image, label)
const accuracyOf = async (network: Network): Promise<number> =>
  100 * Number((await evaluate(network, test, { loss, metrics: { accuracy: new Accuracy() } }))['accuracy'])
const adamw = (peak: number) => (parameters: Parameter[]) =>
  new optim.AdamW(parameters, { lr: schedule.warmupCosine({ peak, warmup: 10 }) })

async function run(number: number) {
  seed(number)
  const order = shuffled(after.length, generator(number)).map((i) => after[i] as Sample)
  const few = Array.from({ length: CLASSES }, (_, label) =>
    order.filter((sample) => sample.label === label).slice(0, PER_CLASS),
  ).flat()
  /** The same for both: 60 epochs over the 100 examples; what `decay` is for a network that knows something already. */
  const fit = async (network: Network, decay: number): Promise<number> => {
    const optimizer = new optim.AdamW(layerwiseDecay(network, { decay }), {
      lr: schedule.warmupCosine({ peak: 2e-3, warmup: 10 }),
    })
    await train(network, loader(few, 25, true), { loss, optimizer, epochs: 60, progress: false })
    return accuracyOf(network)
  }
  const scratch = await fit(makeNetwork(CLASSES), 1)
  const network = makeNetwork(4 * CLASSES)
  await train(network, loader(before, 32, true), {
    loss,
    optimizer: adamw(2e-3),
    epochs: full ? 5 : 4,
    progress: false,
  })

  // First a new head on what the layers make of the images, computed once; then all of it.
  const head = replaceHead(network, CLASSES)
  const encoder = new nn.Sequential(...network.layers.slice(0, -1))
  const cached = await features(encoder, loader(few, 50), (model, { image, label }) => ({
    x: model.forward(image),
    label,
  }))
  await train(head, new DataLoader(cached, { batchSize: 25, shuffle: true, dtypes: { label: 'i32' } }), {
    loss: (layer, { x, label }) => classify(layer, x, label),
    optimizer: adamw(2e-2),
    epochs: 60,
    progress: false,
  })
  return { scratch, probe: await accuracyOf(network), transferred: await fit(network, 0.8) }
}

const runs: Awaited<ReturnType<typeof run>>[] = []
for (let number = 1; number <= (full ? 5 : 1); number++) runs.push(await run(number))
const over = (kind: keyof (typeof runs)[number]) => spread(runs.map((one) => one[kind]))
const [scratch, probe, transferred] = [over('scratch'), over('probe'), over('transferred')]
report({ seeds: runs.length, scratch, probe, transferred, pointsGained: transferred.mean - scratch.mean })
