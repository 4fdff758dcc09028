// Workers that are terminated in the middle of their runs, many: `terminated.mjs COUNT`. Prints resident memory.
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { compile, randomNormal, tensor } from 'heddle'

const SIZE = 256
const AT_ONCE = 2

async function runForever() {
  const w = randomNormal([SIZE, SIZE])
  const step = compile((x) => x.matmul(w).tanh().matmul(w).softmax())
  let x = tensor(new Float32Array(SIZE * SIZE), { shape: [SIZE, SIZE] })
  for (let i = 0; ; i++) {
    x = await step(x)
    if (i === 2) parentPort.postMessage('running')
  }
}

async function useAndTerminate() {
  const worker = new Worker(new URL(import.meta.url))
  await new Promise((done, failed) => {
    worker.once('message', done)
    worker.once('error', failed)
  })
  await sleep(Math.random() * 5)
  await worker.terminate()
}

async function several(count) {
  let left = count
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await useAndTerminate()
    }),
  )
}

/** The least of some readings, as what the collector has not looked at yet comes and goes. */
async function resident() {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 10; i++) {
    globalThis.gc?.()
    await sleep(20)
    least = Math.min(least, process.memoryUsage.rss())
  }
  return least
}

if (!isMainThread) await runForever()
else {
  const count = Number(process.argv[2])
  const warm = Math.min(Math.ceil(count / 4), 200)
  await several(warm)
  const before = await resident()
  await several(count - warm)
  const after = await resident()
  const x = tensor([1, 2, 3])
  if ((await x.sum().item()) !== 6) throw new Error('the main thread computes wrongly afterwards')
  console.log(JSON.stringify({ workers: count, warm, before, after, growth: after - before }))
}
