// Digits from few examples: a network that knows 0 to 4 learns 5 to 9 from 20 of each, beside one that knows nothing.
//   node dist/examples/transfer-learning.js [--full] [--json FILE]
import { DataLoader } from '../lib/data/index.js'
import { crossEntropy, nn, optim, type Parameter, schedule, seed, type Tensor } from '../lib/index.js'
import { Accuracy, evaluate, train } from '../lib/train/index.js'
import { features, layerwiseDecay, replaceHead } from '../lib/transfer/index.js'
import { generator } from './demo/random.js'
import { loadDigits, shuffled } from './digits.js'
import { full, report, spread } from './example.js'
import { augmentedLoader, loader, type Sample, samplesOf, turnedToAllSides } from './transfer-learning/samples.js'

const [CLASSES, PER_CLASS] = [5, 20]
/** Over the few examples: the same for both, and what starts from nothing gets four times as many besides. */
const EPOCHS = 15
const digits = loadDigits()
const before = turnedToAllSides(samplesOf(digits.train, 0, CLASSES).slice(0, full ? undefined : 800), CLASSES)
const after = samplesOf(digits.train, CLASSES, 10)
const test = loader(samplesOf(digits.test, CLASSES, 10), 250)

/** Four convolutions without norms, which few examples alone hardly set going. */
function makeNetwork(classes: number) {
  const { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } = nn
  const block = (from: number, to: number, ...more: (nn.Module & nn.Layer)[]) =>
    new Sequential(new Conv2d(from, to, 3, { padding: 1 }), new ReLU(), ...more)
  const pooled = [block(1, 16, new MaxPool2d(2)), block(16, 32, new MaxPool2d(2)), block(32, 64, new MaxPool2d(2))]
  const hidden = new Sequential(new Flatten(), new Linear(64 * 9, 128), new ReLU())
  return new Sequential(...pooled, block(64, 64), hidden, new Linear(128, classes))
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
  const fit = async (network: Network, decay: number, epochs = EPOCHS): Promise<number> => {
    const lr = schedule.warmupCosine({ peak: 2e-3, warmup: 10 })
    const optimizer = new optim.AdamW(layerwiseDecay(network, { decay }), { lr })
    await train(network, loader(few, 25, true), { loss, optimizer, epochs, progress: false })
    return accuracyOf(network)
  }
  const scratch = await fit(makeNetwork(CLASSES), 1)
  const scratchLonger = await fit(makeNetwork(CLASSES), 1, 4 * EPOCHS)
  const network = makeNetwork(4 * CLASSES)
  const epochs = full ? 6 : 2
  await train(network, augmentedLoader(before, 64), { loss, optimizer: adamw(2e-3), epochs, progress: false })

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
  return { scratch, scratchLonger, probe: await accuracyOf(network), transferred: await fit(network, 0.7) }
}

const runs: Awaited<ReturnType<typeof run>>[] = []
for (let number = 1; number <= (full ? 5 : 1); number++) runs.push(await run(number))
const over = (kind: keyof (typeof runs)[number]) => spread(runs.map((one) => one[kind]))
const kinds = ['scratch', 'scratchLonger', 'probe', 'transferred'] as const
const figures = Object.fromEntries(kinds.map((kind) => [kind, over(kind)]))
report({ seeds: runs.length, ...figures, pointsGained: over('transferred').mean - over('scratch').mean })
