// Started by prepare.test.ts in a worker thread: the first call of a compiled step, whose kernels take a while to make.
import { parentPort, workerData } from 'node:worker_threads'
import { compile, ones } from '../../lib/index.js'

const { seed } = workerData as { seed: number }
const step = compile(() =>
  Array.from({ length: 12 }).reduce<ReturnType<typeof ones>>(
    (x, _, i) => x.matmul(ones([300 + i, 301 + i])).tanh(),
    ones([64 + seed, 300]),
  ),
)
void step().catch(() => undefined)
parentPort?.postMessage('called')
