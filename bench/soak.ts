// A long run of a service without the network: requests of every kind, out-of-memory recoveries and new weights, and what grows.
//   node --expose-gc dist/bench/soak.js [--minutes M] [--requests N] [--recoveries R] [--json F]
// It ends when the minutes are over and so many requests and recoveries have been; whichever takes longest.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { defaultDevice, memory, nn, seed } from '../lib/index.js'
import { batcher, OverloadedError } from '../lib/serve/index.js'
import { median } from './median.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    requests: { type: 'string', default: '1000000' },
    recoveries: { type: 'string', default: '100' },
    json: { type: 'string' },
  },
})
const [MINUTES, REQUESTS, RECOVERIES] = [values.minutes, values.requests, values.recoveries].map(Number) as [
  number,
  number,
  number,
]

export interface SoakFigures {
  readonly requests: number
  /** How they ended. */
  readonly ok: number
  readonly overloaded: number
  readonly outOfMemory: number
  readonly badRequests: number
  readonly aborted: number
  /** Anything that was not expected; the first message is printed. */
  readonly unexpected: number
  /** Times that memory was taken away and given back, and a request was answered rightly afterwards. */
  readonly recoveries: number
  readonly swaps: number
  /**
   * Growth from the second tenth of the run, as the first fills what is kept, to the last: of resident memory, in medians, as
   * it comes and goes by some megabytes; of the device's memory and of buffers.
   */
  readonly rssGrowthBytes: number
  readonly deviceGrowthBytes: number
  readonly buffersGrowth: number
  readonly minutes: number
}

const INPUTS = 64
const WAVE = 200
/** Waves between out-of-memory and between new weights. */
const EVERY = 20

seed(1)
const device = defaultDevice()
const network = (): nn.Sequential =>
  new nn.Sequential(new nn.Linear(INPUTS, 128), new nn.ReLU(), new nn.Linear(128, 10))
const model = network().eval()
const served = batcher(model, { input: { shape: [INPUTS] }, maxBatch: 32, maxQueue: 150, maxDelayMs: 0 })
await served.warmUp()
const weights = [await model.stateDict(), await network().stateDict()]
const probe = new Float32Array(INPUTS).fill(0.5)
const answers: Float32Array[] = []
for (const state of weights) {
  await served.swap(state)
  answers.push((await served.predict(probe)).data as Float32Array)
}
let current = 1

const counts = {
  requests: 0,
  ok: 0,
  overloaded: 0,
  outOfMemory: 0,
  badRequests: 0,
  aborted: 0,
  unexpected: 0,
  recoveries: 0,
  swaps: 0,
}
function unexpected(error: unknown): void {
  if (counts.unexpected++ === 0) console.error('unexpected:', error)
}

async function one(kind: number): Promise<void> {
  counts.requests++
  const bad = kind % 37 === 0
  const sample = bad ? new Float32Array(INPUTS - 1) : new Float32Array(INPUTS).fill(kind / WAVE)
  const signal = kind % 41 === 0 ? AbortSignal.timeout(0) : undefined
  try {
    await served.predict(sample, signal ? { signal } : {})
    counts.ok++
  } catch (error) {
    const { name } = error as Error
    if (error instanceof OverloadedError) counts.overloaded++
    else if (name === 'OutOfMemoryError') counts.outOfMemory++
    else if (bad && name === 'ShapeError') counts.badRequests++
    else if (signal && name === 'TimeoutError') counts.aborted++
    else unexpected(error)
  }
}

const wave = (): Promise<unknown> => Promise.all(Array.from({ length: WAVE }, (_, kind) => one(kind)))

async function answersRightly(): Promise<boolean> {
  const { data } = await served.predict(probe)
  return data.every((value, i) => value === (answers[current] as Float32Array)[i])
}

async function recovery(): Promise<void> {
  device.setMemoryLimit(1)
  try {
    await wave()
  } finally {
    device.setMemoryLimit(Number.POSITIVE_INFINITY)
  }
  if (await answersRightly()) counts.recoveries++
  else unexpected(new Error('after out of memory the answer is another'))
}

async function swap(): Promise<void> {
  current = 1 - current
  await Promise.all([wave(), served.swap(weights[current] as (typeof weights)[0])])
  counts.swaps++
  if (!(await answersRightly())) unexpected(new Error('after a swap the answer is not that of the new weights'))
}

function state() {
  globalThis.gc?.()
  globalThis.gc?.()
  return { rss: process.memoryUsage.rss(), held: device.memory().allocated, memory: memory.snapshot() }
}

const begun = performance.now()
const minutes = (): number => (performance.now() - begun) / 60_000
const share = (): number => Math.min(minutes() / MINUTES, counts.requests / REQUESTS, counts.recoveries / RECOVERIES)
/** Hundredths of the run at which it is looked at: those of its second tenth, and of its last. */
const LOOKS = Array.from({ length: 20 }, (_, i) => (i < 10 ? 10 + i : 80 + i))
const states: ReturnType<typeof state>[] = []
for (let turn = 1; share() < 1; turn++) {
  if (turn % EVERY === 0) await recovery()
  else if (turn % EVERY === EVERY / 2) await swap()
  else await wave()
  while (states.length < LOOKS.length && 100 * share() >= (LOOKS[states.length] as number)) states.push(state())
}
await served.close()
const rss = (some: readonly (typeof states)[0][]): number => median(some.map((one) => one.rss))
const [before, after] = [states[0] as (typeof states)[0], state()]
const difference = memory.diff(before.memory, after.memory)
if (difference.count > 0) console.log(String(difference))
const figures: SoakFigures = {
  ...counts,
  rssGrowthBytes: rss(states.slice(10)) - rss(states.slice(0, 10)),
  deviceGrowthBytes: after.held - before.held,
  buffersGrowth: difference.count,
  minutes: minutes(),
}
console.table(figures)
if (values.json) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
