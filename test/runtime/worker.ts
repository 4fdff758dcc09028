// Started by worker.test.ts in a worker thread: works on the test backend, then waits, is terminated, or ends.
import { parentPort, workerData } from 'node:worker_threads'
import { bufferOf, concatPlan, loadTestAddon, prepare, readFloats, Tickets, wait } from './addon.js'

const binding = loadTestAddon()
const tickets = new Tickets(binding)
const layout = concatPlan(2, 1)
const { milliseconds, making, steps, runs } = workerData as {
  milliseconds: number
  making?: number
  steps: number
  runs: number
}
const plan = prepare(
  binding,
  { ...layout, steps: [...Array.from({ length: steps }, () => wait(milliseconds, making)), ...layout.steps] },
  'worker',
)
const a = bufferOf(binding, new Float32Array([1, 2]), 'worker')
const b = bufferOf(binding, new Float32Array([3]), 'worker')

const results = []
for (let i = 0; i < runs; i++) {
  const handles = Uint32Array.of(a, b, 0)
  binding.run(plan, handles)
  results.push(readFloats(binding, tickets, handles[2] as number, 3))
}
parentPort?.postMessage('queued')
const last = (await Promise.all(results)).at(-1)
parentPort?.postMessage(last)
