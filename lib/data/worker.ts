// A loader's worker thread: makes a dataset of its own from a module, and one batch after the other from it.
import { parentPort, workerData } from 'node:worker_threads'
import { HeddleError } from '../runtime/errors.js'
import { buffersOf, toPlain, type WorkerReply, type WorkerSetup, type WorkerTask } from './message.js'
import { importSource } from './module.js'
import { type Collate, type Making, makeBatch, placesOf, sampleError } from './produce.js'

const port = parentPort
if (!port) throw new HeddleError('heddle: lib/data/worker.js is started by a loader, not by hand')

const { source, rules, progress } = workerData as WorkerSetup
const answer = (reply: WorkerReply, transfer: readonly ArrayBuffer[] = []): void => port.postMessage(reply, transfer)
const started = importSource(source)
started.catch((error) => answer({ kind: 'unstarted', error: toPlain(error) }))

async function make(task: WorkerTask): Promise<void> {
  const { dataset, collate } = await started
  const { seed, epoch } = task
  const making: Making = { seed, epoch, rules, collate: collate as Collate<never> | undefined }
  try {
    const samples: unknown[] = []
    // One by one, and written down before: whoever finds this thread dead knows which sample it was.
    for (const [at, context] of placesOf(task, making).entries()) {
      Atomics.store(progress, 1, at)
      Atomics.store(progress, 0, task.batch)
      try {
        samples.push(await dataset.get(task.origins[at] as number, context))
      } catch (error) {
        throw sampleError(context.index, error)
      }
    }
    const made = await makeBatch(samples, task.batch, making, task.indices)
    answer({ kind: 'batch', batch: task.batch, made }, [...buffersOf(made)])
  } catch (error) {
    answer({ kind: 'failed', batch: task.batch, error: toPlain(error) })
  }
}

let last = Promise.resolve()
port.on('message', (task: WorkerTask) => {
  // Where the dataset could not be made, that was answered already.
  last = last.then(() => make(task)).catch(() => undefined)
})
