// What heddle costs the host: a run's crossing, compilation, the event loop, the arena, memory over many steps.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { DelayMeter } from '../examples/demo/delay.js'
import { compile, defaultDevice, type Tensor, tensor } from '../lib/index.js'
import { crossings } from './crossing.js'
import { median } from './median.js'
import { benchmark, trainingStep } from './models.js'

export interface HostFigures {
  /** One call into the native library that enqueues a run of the MLP's training step, median. */
  readonly crossingUs: number
  /** The first call of the GPT's training step: trace, compile, plan, prepare (with the timing of kernels). */
  readonly compileMs: number
  readonly eventLoopDelayP99Ms: number
  readonly idleDelayP99Ms: number
  /** The longest that a call of the GPT's training step, traced before, kept the thread: until it gave its promise. */
  readonly longestSyncMs: number
  /** Calls of them that kept it for more than 2 ms. */
  readonly syncsOver2Ms: number
  /** Of the GPT's training step. */
  readonly arenaBytes: number
  readonly maxLiveBytes: number
  /** Growth of resident memory per step of the MLP, finalizers off, over the last four fifths of the steps. */
  readonly rssBytesPerStep: number
}

async function crossing(): Promise<number> {
  const subject = benchmark('mlp')
  const step = trainingStep(subject, 'sgd')
  await step(subject.x, subject.y)
  const times = await crossings(async () => {
    for (let i = 0; i < 300; i++) await step(subject.x, subject.y)
    await defaultDevice().synchronize()
  })
  return median(times)
}

async function compilation(): Promise<Pick<HostFigures, 'compileMs' | 'arenaBytes' | 'maxLiveBytes'>> {
  const subject = benchmark('gpt')
  const step = trainingStep(subject, 'adamw')
  await defaultDevice().synchronize()
  const start = performance.now()
  await step(subject.x, subject.y)
  const compileMs = performance.now() - start
  const memory = step.plan?.memory
  await defaultDevice().synchronize()
  return { compileMs, arenaBytes: memory?.arena ?? 0, maxLiveBytes: memory?.live ?? 0 }
}

/** Idle and training in turns, so that both meet the same machine. */
async function delays(): Promise<
  Pick<HostFigures, 'eventLoopDelayP99Ms' | 'idleDelayP99Ms' | 'longestSyncMs' | 'syncsOver2Ms'>
> {
  const subject = benchmark('gpt')
  const step = trainingStep(subject, 'adamw')
  for (let i = 0; i < 3; i++) await step(subject.x, subject.y)
  const meter = new DelayMeter()
  const calls: number[] = []
  for (let turn = 0; turn < 8; turn++) {
    await defaultDevice().synchronize()
    meter.enter('idle')
    await pause(1000)
    meter.enter('busy')
    const end = performance.now() + 1000
    while (performance.now() < end) {
      const start = performance.now()
      const loss = step(subject.x, subject.y)
      calls.push(performance.now() - start)
      await (await loss).item()
    }
  }
  meter.enter(undefined)
  return {
    eventLoopDelayP99Ms: meter.p99('busy'),
    idleDelayP99Ms: meter.p99('idle'),
    longestSyncMs: Math.max(...calls),
    syncsOver2Ms: calls.filter((time) => time > 2).length,
  }
}

/** In a process of its own, with the collector at hand and finalizers off. */
function growth(steps: number): number {
  const child = fileURLToPath(new URL('./growth.js', import.meta.url))
  return Number(execFileSync(process.execPath, ['--expose-gc', child, String(steps)], { encoding: 'utf8' }))
}

const { values } = parseArgs({ options: { json: { type: 'string' }, steps: { type: 'string', default: '10000' } } })
const small = compile((x: Tensor) => x.add(1))
await (await small(tensor(1))).item()
const figures: HostFigures = {
  crossingUs: await crossing(),
  ...(await compilation()),
  ...(await delays()),
  rssBytesPerStep: growth(Number(values.steps)),
}
console.table(figures)
if (values.json) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
