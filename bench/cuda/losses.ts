// A training run in a process of its own: the losses of SGD steps from the seed's weights, and what the weights came to.
//   node dist/bench/cuda/losses.js --model mlp|cnn|gpt --device NAME --steps N [--runs N] [--quick]  -> a list of `TrainingRun`
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { defaultDevice, setDefaultDevice } from '../../lib/index.js'
import { benchmark, trainingStep } from '../models.js'

export type ModelName = 'mlp' | 'cnn' | 'gpt'

export interface TrainingRun {
  readonly losses: readonly number[]
  /** SHA-256 of all weights' bytes after the last step. */
  readonly weights: string
  /** Runs of the device that were replays. */
  readonly replays: number
}

async function train(name: ModelName, steps: number, quick: boolean): Promise<TrainingRun> {
  const subject = benchmark(name, quick ? 'quick' : 'full')
  const step = trainingStep(subject, 'sgd')
  await defaultDevice().synchronize()
  const before = defaultDevice().memory().replays
  const pending = []
  for (let i = 0; i < steps; i++) pending.push(await step(subject.x, subject.y))
  const losses = await Promise.all(pending.map(async (loss) => Number(await loss.item())))
  const replays = defaultDevice().memory().replays - before
  const hash = createHash('sha256')
  for (const { data } of Object.values(await subject.model.stateDict()))
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return { losses, weights: hash.digest('hex'), replays }
}

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'mlp' },
    device: { type: 'string', default: 'cpu' },
    steps: { type: 'string', default: '100' },
    runs: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
  },
})
setDefaultDevice(values.device)
const runs: TrainingRun[] = []
for (let run = 0; run < Number(values.runs); run++)
  runs.push(await train(values.model as ModelName, Number(values.steps), values.quick))
console.log(JSON.stringify(runs))
