// Traces: what JavaScript, the device's thread and kernels did stands in one file, on one time axis.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ArgumentError, crossEntropy, nn, optim, randomNormal, tensor } from '../../lib/index.js'
import { startTrace } from '../../lib/io/index.js'
import { batcher } from '../../lib/serve/index.js'
import { train } from '../../lib/train/index.js'
import { temporaryFolder } from './folder.js'

interface Event {
  readonly ph: string
  readonly name: string
  readonly cat: string
  readonly pid: number
  readonly tid: number
  readonly ts: number
  readonly dur: number
}

it('has batches, steps, jobs, kernels and measures within the time they took', async () => {
  const model = new nn.Sequential(new nn.Linear(64, 64), new nn.Linear(64, 10)).eval()
  const served = batcher(model, { input: { shape: [64] }, name: 'digits' })
  await served.warmUp()
  const trainee = new nn.Sequential(new nn.Linear(64, 64), new nn.Linear(64, 10))
  const begun = performance.now()
  const trace = startTrace()
  expect(() => startTrace()).toThrow(/being recorded already/)
  const batches = {
    async *[Symbol.asyncIterator]() {
      for (let i = 0; i < 6; i++) yield { x: randomNormal([32, 64]), y: tensor(new Int32Array(32)) }
    },
  }
  const training = train(trainee, batches, {
    loss: (model, { x, y }) => crossEntropy(model.forward(x), y),
    optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
    epochs: 1,
    progress: false,
  })
  await Promise.all(Array.from({ length: 40 }, () => served.predict(new Float32Array(64))))
  performance.measure('mine', { start: begun, end: performance.now() })
  await training
  await new Promise((resolve) => setTimeout(resolve, 20))
  const file = join(await temporaryFolder(), 'trace.json')
  const saved = await trace.save(file)
  const ended = performance.now()
  await expect(trace.save(file)).rejects.toThrow(ArgumentError)

  const { traceEvents } = JSON.parse(await readFile(file, 'utf8')) as { traceEvents: Event[] }
  const events = traceEvents.filter(({ ph }) => ph === 'X')
  expect(events).toHaveLength(saved.events)
  expect(saved.dropped).toBe(0)
  const named = (cat: string, name: RegExp): Event[] =>
    events.filter((event) => event.cat === cat && name.test(event.name))
  expect(named('serve', /^batch of \d+$/).length).toBeGreaterThan(0)
  expect(named('train', /^step [1-6]$/)).toHaveLength(6)
  expect(named('measure', /^mine$/)).toHaveLength(1)
  expect(named('job', /batcher digits of/).length).toBeGreaterThan(0)
  expect(named('job', /the training step/).length).toBe(6)
  expect(named('kernel', /matmul/i).length).toBeGreaterThan(0)
  for (const { ts, dur } of events) {
    expect(ts).toBeGreaterThanOrEqual(1000 * begun - 1)
    expect(ts + dur).toBeLessThanOrEqual(1000 * ended + 1)
  }
  // Each run of a batch lies in the batch's own span, though the one is JavaScript's and the other the device's.
  const spans = named('serve', /^batch/)
  for (const job of named('job', /batcher digits of/))
    expect(spans.some(({ ts, dur }) => ts <= job.ts + 1 && job.ts + job.dur <= ts + dur + 1)).toBe(true)
  // What stands in one row is nested or apart.
  const rows = [...new Set(events.map(({ pid, tid }) => `${pid} ${tid}`))]
  for (const row of rows) {
    const own = events
      .filter(({ pid, tid, cat }) => `${pid} ${tid}` === row && cat !== 'kernel')
      .sort((a, b) => a.ts - b.ts)
    own.slice(1).forEach((event, i) => {
      const before = own[i] as Event
      expect(event.ts).toBeGreaterThanOrEqual(before.ts + before.dur - 1)
    })
  }
})
