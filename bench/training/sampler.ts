// A worker thread that looks at the device's queue every millisecond, whatever the main thread does meanwhile.
import { parentPort, Worker } from 'node:worker_threads'
import { defaultDevice } from '../../lib/index.js'

interface Counts {
  readonly moments: number
  readonly empty: number
}

/** Looks until it is asked; gives how often the queue was empty. */
export class QueueSampler {
  private readonly worker = new Worker(new URL(import.meta.url))
  private readonly ready: Promise<void>

  constructor() {
    this.ready = new Promise((resolve) => this.worker.once('message', () => resolve()))
  }

  /** Forgets what it has seen. */
  async begin(): Promise<void> {
    await this.ready
    this.worker.postMessage('begin')
  }

  /** Share of moments at which the device had nothing to do. */
  async end(): Promise<number> {
    const counted = new Promise<Counts>((resolve) => this.worker.once('message', resolve))
    this.worker.postMessage('end')
    const { moments, empty } = await counted
    await this.worker.terminate()
    return empty / moments
  }
}

if (parentPort) {
  const port = parentPort
  const device = defaultDevice()
  let moments = 0
  let empty = 0
  setInterval(() => {
    moments++
    if (device.memory().queued === 0) empty++
  }, 1)
  port.on('message', (order) => {
    if (order === 'end') port.postMessage({ moments, empty })
    moments = empty = 0
  })
  port.postMessage('ready')
}
