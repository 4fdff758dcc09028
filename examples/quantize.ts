// A convolutional network in int8: after training, and trained with the rounding, beside f32.   [--full] [--json F]
import { DataLoader } from '../lib/data/index.js'
import { convertQuantized, loadQuantized, quantizationAware, quantize } from '../lib/distill/index.js'
import { compile, crossEntropy, nn, optim, scope, seed, type Tensor, tensor } from '../lib/index.js'
import { Accuracy, evaluate, train } from '../lib/train/index.js'
import { type Digits, loadDigits, pick } from './digits.js'
import { full, report, spread } from './example.js'

const { BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential } = nn
const block = (from: number, to: number) => {
  return [new Conv2d(from, to, 3, { padding: 1 }), new BatchNorm2d(to), new ReLU(), new MaxPool2d(2)]
}
const head = () => [new Flatten(), new Linear(64 * 7 * 7, 128), new ReLU(), new Dropout(0.25), new Linear(128, 10)]
const network = () => new Sequential(...block(1, 32), ...block(32, 64), ...head())

const [digits, SHAPE, PIXELS] = [loadDigits(), [1, 28, 28], 28 * 28]
const samplesOf = ({ images, labels }: Digits) =>
  Array.from(labels, (label, i) => ({
    image: { data: images.subarray(i * PIXELS, (i + 1) * PIXELS), shape: SHAPE, dtype: 'f32' as const },
    label,
  }))
const learn = samplesOf(full ? digits.train : pick(digits.train, [...Array(1500).keys()]))
const batches = { batchSize: 64, dtypes: { label: 'i32' } } as const
const loss = (model: nn.Sequential, { image, label }: { image: Tensor; label: Tensor }) => {
  const predictions = model.forward(image)
  return { loss: crossEntropy(predictions, label), predictions, targets: label }
}
const fit = (model: nn.Sequential, epochs: number, lr: number, order: number) =>
  train(model, new DataLoader(learn, { ...batches, shuffle: { seed: order }, dropLast: true }), {
    loss,
    optimizer: (parameters) => new optim.AdamW(parameters, { lr }),
    epochs,
  })
const percentRight = async (model: nn.Sequential) => {
  const test = new DataLoader(samplesOf(digits.test), batches)
  return 100 * Number((await evaluate(model.eval(), test, { loss, metrics: { right: new Accuracy() } })).right)
}
const bytesOf = async (model: nn.Sequential) =>
  Object.values(await model.stateDict()).reduce((sum, { data }) => sum + data.byteLength, 0)

/** Median microseconds from pixels on the host to their answer there, of each model; the models take turns. */
async function latencies(models: readonly nn.Sequential[], batch: number): Promise<number[]> {
  const timed = models.map((model) => ({ run: compile((x: Tensor) => model.forward(x)), times: [] as number[] }))
  const pixels = digits.test.images.slice(0, batch * PIXELS)
  for (let turn = full ? -50 : -10; turn < (full ? 500 : 60); turn++)
    for (const { run, times } of timed)
      await scope(async () => {
        const start = performance.now()
        await (await run(tensor(pixels, { shape: [batch, ...SHAPE] }))).data()
        if (turn >= 0) times.push(1000 * (performance.now() - start))
      })
  return timed.map(({ times }) => times.sort((a, b) => a - b)[times.length >> 1] as number)
}

async function figuresOf(run: number): Promise<Record<string, number>> {
  seed(run)
  const [model, int8, aware] = [network(), network(), network()]
  await fit(model, full ? 6 : 2, 1e-3, run)
  for (const copy of [int8, aware]) copy.loadStateDict(await model.stateDict())
  const options = { forward: (m: nn.Sequential, { image }: { image: Tensor }) => m.forward(image), batches: 5 }
  await quantize(int8, new DataLoader(learn, batches), options)
  await fit(await quantizationAware(aware, new DataLoader(learn, batches), options), 1, 1e-4, run)
  await convertQuantized(aware)
  const f32 = await percentRight(model)
  const figures: Record<string, number> = { f32, lostAfter: f32 - (await percentRight(int8)) }
  figures['lostAware'] = f32 - (await percentRight(aware))
  figures['bytesPercent'] = (100 * (await bytesOf(int8))) / (await bytesOf(model))
  const models = [model, loadQuantized(network(), await int8.stateDict())]
  for (const batch of [1, 64])
    for (const [i, time] of (await latencies(models, batch)).entries())
      figures[`${['f32', 'int8'][i]} µs at ${batch}`] = time
  return figures
}

const runs: Record<string, number>[] = []
for (let run = 1; run <= (full ? 5 : 1); run++) runs.push(await figuresOf(run))
const names = Object.keys(runs[0] as object)
report(Object.fromEntries(names.map((name) => [name, spread(runs.map((run) => run[name] as number))])))
