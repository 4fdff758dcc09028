// The measured service, a process of its own: predictions over HTTP, and a training in the background that is told when to go.
import { setTimeout as pause } from 'node:timers/promises'
import Fastify from 'fastify'
import { DelayMeter } from '../../examples/demo/delay.js'
import {
  compile,
  crossEntropy,
  defaultDevice,
  grad,
  optim,
  randomNormal,
  seed,
  type Tensor,
  tensor,
} from '../../lib/index.js'
import { httpHeaders, httpStatus } from '../../lib/serve/index.js'
import { fillYoungGeneration } from '../youngGeneration.js'
import { type EngineName, engineOf } from './engines.js'
import { CHANNELS, CLASSES, Classifier, EXTENT, type ModelSize, PIXELS, valuesOf } from './model.js'

const BATCH = 16
/** At one millisecond the meter itself takes a part of the training's time. */
const DELAY_RESOLUTION_MS = 10

/** What the service is told. */
export type Command =
  | { readonly training: boolean }
  /** Event-loop delays from now on count as those of this phase. */
  | { readonly phase: 'idle' | 'busy' | 'none' }
  /** Whether garbage is collected before memory is looked at, which stops the event loop for a moment. */
  | { readonly report: true; readonly collected?: boolean }

export interface Report {
  readonly steps: number
  readonly rssBytes: number
  readonly idleDelayP99Ms: number
  readonly busyDelayP99Ms: number
}

fillYoungGeneration()
seed(1)
const device = defaultDevice()
const [, , name, size] = process.argv as [string, string, EngineName, ModelSize]
const served = new Classifier(size).eval()
const engine = await engineOf(name, served, device.threads)

const trained = new Classifier(size)
const adamw = new optim.AdamW(trained.parameters(), { lr: 1e-4 })
const step = compile((pictures: Tensor, labels: Tensor) => {
  const loss = crossEntropy(trained.forward(pictures), labels)
  adamw.step(grad(loss, trained.parameters()))
  return loss
})
const pictures = randomNormal([BATCH, CHANNELS, EXTENT, EXTENT])
const labels = tensor(Int32Array.from({ length: BATCH }, (_, i) => i % CLASSES))
let steps = 0
let training = false
/** A step is queued while the one before is on its way, as `train` does. */
async function train(): Promise<void> {
  let before: Promise<void> | undefined
  while (training) {
    const loss = await step(pictures, labels)
    const done = loss.item().then(() => {
      loss.dispose()
      steps++
    })
    await before
    before = done
  }
  await before
}
await (await step(pictures, labels)).item()

const app = Fastify({ bodyLimit: PIXELS })
app.setErrorHandler((error: Error & { statusCode?: number }, _, reply) =>
  reply
    .code(httpStatus(error) ?? error.statusCode ?? 500)
    .headers(httpHeaders(error))
    .send({ error: error.message }),
)
app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
app.post<{ Body: Buffer }>('/predict', {
  onRequest: async () => engine.admit(),
  handler: async ({ body }) => ({ logits: Array.from(await engine.predict(valuesOf(body))) }),
})
const url = await app.listen({ port: 0, host: '127.0.0.1' })

const meter = new DelayMeter(DELAY_RESOLUTION_MS)
process.on('message', async (command: Command) => {
  if ('training' in command) {
    const before = training
    training = command.training
    if (training && !before) void train()
    if (!training) await device.synchronize()
  } else if ('phase' in command) {
    // What the change itself costs belongs to no phase.
    meter.enter(undefined)
    await pause(100)
    meter.enter(command.phase === 'none' ? undefined : command.phase)
  }
  if ('report' in command && command.collected) globalThis.gc?.()
  process.send?.({
    steps,
    rssBytes: process.memoryUsage.rss(),
    idleDelayP99Ms: meter.p99('idle'),
    busyDelayP99Ms: meter.p99('busy'),
  } satisfies Report)
})
process.on('disconnect', () => process.exit())
process.send?.({ port: Number(new URL(url).port) })
