// The loader: what getting a batch from a worker costs this thread, by transfer and by shared memory, and batches per second.
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { DataLoader, dataset, fromModule, type HostArray, type IndexedDataset } from '../lib/data/index.js'
import { tensor } from '../lib/index.js'

const BATCHES = 30

/** Images whose making takes this processor a while. */
export function images(
  count: number,
  side: number,
  work: number,
): IndexedDataset<{ readonly image: HostArray; readonly label: number }> {
  const shape = [3, side, side]
  return dataset(Array.from({ length: count }, (_, i) => i)).map((i, { random }) => {
    const data = new Float32Array(3 * side * side).fill(random.uniform())
    for (let round = 0; round < work; round++)
      for (let at = 0; at < data.length; at++) data[at] = (data[at] as number) * 0.99 + 0.01
    return { image: { data, shape, dtype: 'f32' }, label: i }
  })
}

if (!isMainThread && workerData?.floats) {
  const { floats, slots } = workerData as { floats: number; slots: SharedArrayBuffer[] | undefined }
  parentPort?.on('message', (slot: number) => {
    const data = slots ? new Float32Array(slots[slot] as SharedArrayBuffer) : new Float32Array(floats)
    data.fill(slot)
    if (slots) parentPort?.postMessage(slot)
    else parentPort?.postMessage(data, [data.buffer as ArrayBuffer])
  })
}

/** Milliseconds of this thread per batch, from its message to its tensor; the median. */
async function handover(floats: number, shared: boolean): Promise<number> {
  const slots = shared ? [0, 1].map(() => new SharedArrayBuffer(floats * 4)) : undefined
  const worker = new Worker(new URL(import.meta.url), { workerData: { floats, slots } })
  const times: number[] = []
  for (let i = 0; i < BATCHES; i++) {
    worker.postMessage(i % 2)
    const [message] = (await once(worker, 'message')) as [Float32Array | number]
    const begun = performance.now()
    // A shared slot is written again later: what is in it has to be copied out.
    const data = typeof message === 'number' ? new Float32Array(slots?.[message] as SharedArrayBuffer).slice() : message
    tensor(data, { transfer: true }).dispose()
    times.push(performance.now() - begun)
  }
  await worker.terminate()
  return times.sort((a, b) => a - b)[BATCHES / 2] as number
}

async function main(): Promise<void> {
  for (const megabytes of [1, 8, 38]) {
    const floats = (megabytes * 2 ** 20) / 4
    const [transferred, copied] = [await handover(floats, false), await handover(floats, true)]
    console.log(
      `${megabytes} MiB: transferred ${transferred.toFixed(3)} ms, shared slot ${copied.toFixed(3)} ms of this thread`,
    )
  }
  for (const workers of [0, 1, 2]) {
    const samples = await fromModule(import.meta.url, { export: 'images', args: [4096, 64, 20] })
    const loader = new DataLoader(samples, { batchSize: 32, workers, shuffle: true })
    const begun = performance.now()
    let first = 0
    let batches = 0
    for await (const _ of loader) if (batches++ === 0) first = performance.now()
    const rate = (1000 * (batches - 1)) / (performance.now() - first)
    console.log(
      `${workers} workers: the first batch after ${(first - begun).toFixed(0)} ms, then ${rate.toFixed(1)} per second`,
    )
  }
}

// Not awaited: the module imports itself, which waits for its end.
if (isMainThread && process.argv[1]?.endsWith('loader.js')) void main()
