// Batches made by worker threads, in order; a thread that dies is replaced, and what it had is tried once more.
import { Worker } from 'node:worker_threads'
import { DataError } from '../runtime/errors.js'
import type { HostBatch } from './collate.js'
import type { IndexedDataset, Origin } from './dataset.js'
import { fromPlain, type WorkerReply, type WorkerSetup, type WorkerTask } from './message.js'
import type { BatchSource, BatchTask, Making } from './produce.js'

/** Workers that may die without having a batch before it is given up. */
const IDLE_DEATHS = 3

interface Job {
  readonly task: WorkerTask
  deaths: number
}

/** A thread and the jobs it was sent, the one in the making first. */
interface Hand {
  readonly worker: Worker
  readonly progress: Int32Array
  readonly jobs: Job[]
  /** The epoch it works for; undefined between epochs. */
  owner: WorkerSource | undefined
  cause: unknown
}

/** Threads that wait for the next epoch; they keep no process from ending. */
export class IdleWorkers {
  private readonly hands = new Set<Hand>()

  add(hand: Hand): void {
    hand.owner = undefined
    hand.worker.unref()
    this.hands.add(hand)
  }

  /** Of a thread that died meanwhile. */
  forget(hand: Hand): void {
    this.hands.delete(hand)
  }

  takeAll(): readonly Hand[] {
    const taken = [...this.hands]
    this.hands.clear()
    return taken
  }

  async close(): Promise<void> {
    await Promise.all(this.takeAll().map(({ worker }) => worker.terminate()))
  }
}

type Outcome = { readonly made: HostBatch } | { readonly error: unknown }

/**
 * Arrays come back as transferred ArrayBuffers: the tensor then takes their memory as it is, where a slot of shared memory
 * would have to be copied out on this thread (`npm run bench:loader` measures both). Jobs go to the thread with the fewest, at
 * most `prefetch` per thread, and what is made early waits for its turn.
 */
export class WorkerSource implements BatchSource {
  private readonly hands = new Set<Hand>()
  private readonly outcomes = new Map<number, Outcome>()
  /** Batches that were sent or made, in the order they are handed out. */
  private readonly expected: number[] = []
  private wake: () => void = () => undefined
  private broken: unknown
  private idleDeaths = 0
  private closed = false

  constructor(
    private readonly samples: IndexedDataset<unknown>,
    private readonly tasks: Iterator<BatchTask>,
    private readonly making: Making,
    private readonly options: { readonly workers: number; readonly prefetch: number },
    /** Where threads come from and go to between epochs; without it each epoch starts its own. */
    private readonly idle: IdleWorkers | undefined,
  ) {
    for (const hand of idle?.takeAll() ?? []) {
      hand.owner = this
      hand.worker.ref()
      this.hands.add(hand)
    }
  }

  async next(): Promise<HostBatch | undefined> {
    this.fill()
    const batch = this.expected.shift()
    if (batch === undefined) return undefined
    while (!this.outcomes.has(batch)) {
      if (this.broken) throw this.broken
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    const outcome = this.outcomes.get(batch) as Outcome
    this.outcomes.delete(batch)
    if ('error' in outcome) throw outcome.error
    this.fill()
    return outcome.made
  }

  async close(finished: boolean): Promise<void> {
    this.closed = true
    const hands = [...this.hands]
    this.hands.clear()
    this.outcomes.clear()
    const { idle } = this
    if (finished && idle) for (const hand of hands) idle.add(hand)
    else await Promise.all(hands.map(({ worker }) => worker.terminate()))
  }

  /** Sends batches until as many as allowed are on their way. */
  private fill(): void {
    const { workers, prefetch } = this.options
    const origin = this.samples.origin as Origin
    const { seed, epoch } = this.making
    while (this.expected.length < workers * prefetch) {
      const { value: task, done } = this.tasks.next()
      if (done) return
      this.expected.push(task.batch)
      this.send({ task: { ...task, seed, epoch, origins: task.indices.map((index) => origin.at(index)) }, deaths: 0 })
    }
  }

  private send(job: Job): void {
    let hand: Hand | undefined
    for (const other of this.hands) if (!hand || other.jobs.length < hand.jobs.length) hand = other
    if (!hand || (hand.jobs.length > 0 && this.hands.size < this.options.workers)) hand = this.start()
    this.sendTo(hand, job)
  }

  private sendTo(hand: Hand, job: Job): void {
    hand.jobs.push(job)
    hand.worker.postMessage(job.task)
  }

  private start(): Hand {
    const { rules } = this.making
    const progress = new Int32Array(new SharedArrayBuffer(8)).fill(-1)
    const workerData: WorkerSetup = { source: (this.samples.origin as Origin).source, rules, progress }
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData, name: 'heddle loader' })
    const hand: Hand = { worker, progress, jobs: [], owner: this, cause: undefined }
    worker.on('message', (reply: WorkerReply) => hand.owner?.receive(hand, reply))
    worker.on('error', (error) => {
      hand.cause = error
    })
    worker.on('exit', (code) => {
      const how = hand.cause instanceof Error ? hand.cause.message : `exit code ${code}`
      this.idle?.forget(hand)
      hand.owner?.bury(hand, how)
    })
    this.hands.add(hand)
    return hand
  }

  private receive(hand: Hand, reply: WorkerReply): void {
    if (reply.kind === 'unstarted') this.broken = fromPlain(reply.error)
    else {
      const at = hand.jobs.findIndex(({ task }) => task.batch === reply.batch)
      // What a thread answered just before it died was sent to another one already.
      if (at === -1) return
      hand.jobs.splice(at, 1)
      this.outcomes.set(reply.batch, reply.kind === 'batch' ? reply : { error: fromPlain(reply.error) })
    }
    this.wake()
  }

  /** Takes a dead thread's jobs to others: the one in the making may have killed it, and gets one more try. */
  private bury(hand: Hand, how: string): void {
    if (this.closed || !this.hands.delete(hand)) return
    const [first, ...rest] = hand.jobs
    if (first) {
      if (++first.deaths > 1) this.outcomes.set(first.task.batch, { error: died(hand, first.task, how) })
      else this.sendTo(this.start(), first)
    } else if (++this.idleDeaths > IDLE_DEATHS) {
      this.broken = new DataError(
        `loader: worker threads die without making anything: ${how}`,
        'workerDied',
        {},
        { cause: hand.cause },
      )
    }
    for (const job of rest) this.send(job)
    this.wake()
  }
}

function died({ progress, cause }: Hand, { batch, indices }: WorkerTask, how: string): DataError {
  if (progress[0] !== batch) {
    return new DataError(
      `loader: two worker threads died before they made a sample of batch ${batch} (${how}); look at what the dataset's module does when it is imported`,
      'workerDied',
      {},
      { cause },
    )
  }
  const sample = indices[progress[1] as number] as number
  return new DataError(
    `loader: sample ${sample} killed two worker threads, one after the other (${how})`,
    'workerDied',
    { sample },
    { cause },
  )
}
