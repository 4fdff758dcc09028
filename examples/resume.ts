// A job that may be killed at any time, by Ctrl-C or worse, and goes on when it is started again.
//   node dist/examples/resume.js --folder runs/spiral [--epochs N] [--json FILE]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { DataLoader } from '../lib/data/index.js'
import { crossEntropy, nn, optim, schedule, seed, type Tensor } from '../lib/index.js'
import { Accuracy, train } from '../lib/train/index.js'

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: 'runs/spiral' },
    epochs: { type: 'string', default: '60' },
    json: { type: 'string' },
  },
})

/** Three arms of a spiral; which arm is the question. */
const points = Array.from({ length: 900 }, (_, i) => {
  const [arm, turn] = [i % 3, i / 900]
  const angle = 6 * turn + (2 * Math.PI * arm) / 3 + 0.2 * Math.sin(i * 12.9898)
  return { x: Float32Array.of(turn * Math.cos(angle), turn * Math.sin(angle)), arm }
})
const batches = (samples: typeof points, shuffle = false) =>
  new DataLoader(samples, { batchSize: 32, shuffle, dtypes: { arm: 'i32' } })

seed(1)
const { Dropout, Linear, Sequential, Tanh } = nn
const model = new Sequential(
  new Linear(2, 64),
  new Tanh(),
  new Dropout(0.05),
  new Linear(64, 64),
  new Tanh(),
  new Linear(64, 3),
)
const run = await train(
  model,
  batches(
    points.filter((_, i) => i % 10 > 1),
    true,
  ),
  {
    loss: (network, { x, arm }: { x: Tensor; arm: Tensor }) => {
      const predictions = network.forward(x)
      return { loss: crossEntropy(predictions, arm), predictions, targets: arm }
    },
    optimizer: (parameters) => new optim.AdamW(parameters, { lr: schedule.warmupCosine({ peak: 0.01, warmup: 20 }) }),
    epochs: Number(values.epochs),
    validation: { data: batches(points.filter((_, i) => i % 10 <= 1)), metrics: { accuracy: new Accuracy() } },
    // Model, optimizer, schedule, random state and the place in the data, every 50 steps and at the end.
    checkpoint: { folder: values.folder, every: { steps: 50 }, best: { metric: 'validation/accuracy', mode: 'max' } },
    report: `${values.folder}/report.html`,
  },
)
const last = run.history.at(-1)?.figures
console.log(`${run.stopped} at step ${run.steps}: accuracy ${last?.['validation/accuracy']?.toFixed(3)}`)
if (values.json) {
  const weights = Object.values(await model.stateDict()).flatMap(({ data }) => Array.from(data as Float32Array))
  writeFileSync(values.json, JSON.stringify({ steps: run.steps, stopped: run.stopped, figures: last, weights }))
}
