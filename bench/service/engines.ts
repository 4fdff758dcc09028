// Who answers in the measured service: heddle's batcher, or onnxruntime-node behind a queue of the same kind.
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { tensor } from '../../lib/index.js'
import { batcher, OverloadedError } from '../../lib/serve/index.js'
import { CHANNELS, type Classifier, EXTENT, PIXELS, valuesOf } from './model.js'
import { onnxModel } from './onnxFile.js'

export const ENGINES = ['heddle', 'onnxruntime'] as const
export type EngineName = (typeof ENGINES)[number]

const MOST_BATCHED = 16
const MOST_QUEUED = 64
const DELAY_MS = 4

export interface Engine {
  /** Throws `OverloadedError` where a request would be turned away. */
  admit(): void
  /** The logits of one picture. */
  predict(values: Float32Array): Promise<Float32Array>
}

async function heddle(model: Classifier): Promise<Engine> {
  const served = batcher(model, {
    input: { shape: [CHANNELS, EXTENT, EXTENT] },
    maxBatch: MOST_BATCHED,
    maxQueue: MOST_QUEUED,
    maxDelayMs: DELAY_MS,
  })
  await served.warmUp()
  return {
    admit: () => served.admit(),
    predict: async (values) => (await served.predict(values)).data as Float32Array,
  }
}

/** What is used of onnxruntime-node. */
interface OnnxRuntime {
  readonly Tensor: new (
    dtype: 'float32',
    data: Float32Array,
    shape: readonly number[],
  ) => { readonly data: Float32Array }
  readonly InferenceSession: {
    create(
      model: Uint8Array,
      options: { readonly intraOpNumThreads: number; readonly executionProviders: readonly string[] },
    ): Promise<{
      run(
        inputs: Record<string, { readonly data: Float32Array }>,
      ): Promise<Record<string, { readonly data: Float32Array }>>
    }>
  }
}

interface Waiting {
  readonly values: Float32Array
  resolve(logits: Float32Array): void
  reject(error: unknown): void
}

/** Batches as large, waits as long, and turns away as soon as the batcher does. */
async function onnxruntime(model: Classifier, threads: number): Promise<Engine> {
  const installer = fileURLToPath(new URL('../../../scripts/node-peers.mjs', import.meta.url))
  const peer = execFileSync(process.execPath, [installer], { encoding: 'utf8' }).trim()
  const { InferenceSession, Tensor } = createRequire(import.meta.url)(peer) as OnnxRuntime
  const options = { intraOpNumThreads: threads, executionProviders: ['cpu'] }
  const session = await InferenceSession.create(new Uint8Array(await onnxModel(model)), options)
  const queue: Waiting[] = []
  let running = false
  let due = false

  const run = async (): Promise<void> => {
    due = false
    if (running || queue.length === 0) return
    running = true
    const batch = queue.splice(0, MOST_BATCHED)
    const pictures = new Float32Array(batch.length * PIXELS)
    batch.forEach(({ values }, row) => pictures.set(values, row * PIXELS))
    try {
      const shape = [batch.length, CHANNELS, EXTENT, EXTENT]
      const { logits } = await session.run({ pictures: new Tensor('float32', pictures, shape) })
      const all = (logits as { data: Float32Array }).data
      const length = all.length / batch.length
      batch.forEach(({ resolve }, row) => resolve(all.slice(row * length, (row + 1) * length)))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
    running = false
    if (queue.length > 0) void run()
  }
  const admit = (): void => {
    if (queue.length >= MOST_QUEUED) throw new OverloadedError('the queue is full', 10)
  }
  for (let size = 1; size <= MOST_BATCHED; size *= 2)
    await session.run({
      pictures: new Tensor('float32', new Float32Array(size * PIXELS), [size, CHANNELS, EXTENT, EXTENT]),
    })
  return {
    admit,
    predict: (values) =>
      new Promise((resolve, reject) => {
        admit()
        queue.push({ values, resolve, reject })
        if (queue.length >= MOST_BATCHED && !running) void run()
        else if (!due) {
          due = true
          setTimeout(run, DELAY_MS)
        }
      }),
  }
}

/** The engine of that name. Throws where it does not give what the model itself gives. */
export async function engineOf(name: EngineName, model: Classifier, threads: number): Promise<Engine> {
  const engine = await (name === 'heddle' ? heddle(model) : onnxruntime(model, threads))
  const picture = valuesOf(Uint8Array.from({ length: PIXELS }, (_, i) => (i * 13) % 256))
  const expected = await model.forward(tensor(picture, { shape: [1, CHANNELS, EXTENT, EXTENT] })).data()
  const given = await engine.predict(picture)
  const apart = Math.max(...given.map((logit, i) => Math.abs(logit - Number(expected[i]))))
  if (!(apart < 1e-4)) throw new Error(`${name} is ${apart} away from the model's own logits`)
  return engine
}
