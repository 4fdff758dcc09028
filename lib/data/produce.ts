// Makes host batches on this thread: from samples by index, or from a stream.
import { DataError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { type CollateRules, collate, type HostBatch } from './collate.js'
import type { IndexedDataset, StreamDataset } from './dataset.js'
import { placeOf } from './message.js'
import { Random } from './philox.js'
import { type EpochPlace, isFields, isHostArray, type NumericArray, type SampleContext, SamplePlace } from './sample.js'

/** A batch of its own making: from samples to host arrays and lists; `random` is the stream of (seed, epoch, batch). */
export type Collate<T> = (
  samples: readonly T[],
  context: { readonly epoch: number; readonly batch: number; readonly random: Random },
) => HostBatch | Promise<HostBatch>

/** One batch of an epoch: which samples, and how often each was drawn before (where samples can repeat). */
export interface BatchTask {
  readonly batch: number
  readonly indices: Uint32Array
  readonly repeats: Uint32Array | undefined
}

/** How samples become a batch, and of which epoch. */
export interface Making extends EpochPlace {
  readonly rules: CollateRules
  readonly collate: Collate<never> | undefined
}

/** Gives host batches in order; undefined after the last. */
export interface BatchSource {
  next(): Promise<HostBatch | undefined>
  /** Ends it; `finished` where every batch was handed out. */
  close(finished: boolean): Promise<void>
}

export async function makeBatch(
  samples: readonly unknown[],
  batch: number,
  making: Making,
  indices: ArrayLike<number>,
): Promise<HostBatch> {
  if (!making.collate) return collate(samples, making.rules, indices)
  const { seed, epoch } = making
  const random = new Random(seed, 'batch', { epoch, index: batch })
  return owned(await making.collate(samples as readonly never[], { epoch, batch, random }), batch)
}

/** A copy of what a user's collate gave: its arrays may be the dataset's own, and a batch's memory is given away. */
function owned(made: HostBatch, batch: number): HostBatch {
  if (!isFields(made)) {
    throw new DataError(`loader: collate gave ${describe(made)} for batch ${batch}, not an object of fields`, 'collate')
  }
  return Object.fromEntries(
    Object.entries(made).map(([field, value]) => {
      if (isHostArray(value)) return [field, { ...value, data: copied(value.data) }]
      return [field, isFields(value) ? owned(value as HostBatch, batch) : value]
    }),
  )
}

// The slice of a Node Buffer would be a view.
const copied = (data: NumericArray): NumericArray => (data instanceof Uint8Array ? new Uint8Array(data) : data.slice())

/** The error of a sample that could not be made; a `DataError` keeps its own words. */
export function sampleError(sample: number, cause: unknown): DataError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new DataError(
    `loader: sample ${sample} could not be made: ${message}`,
    'sampleFailed',
    {
      ...(cause instanceof DataError ? placeOf(cause) : {}),
      sample,
    },
    { cause },
  )
}

export const placesOf = ({ indices, repeats }: BatchTask, { seed, epoch }: EpochPlace): SampleContext[] =>
  Array.from(indices, (index, at) => new SamplePlace(seed, epoch, index, repeats?.[at] ?? 0))

/** Keeps up to `ahead` batches in the making beyond the one that is asked for. */
export class IndexedSource implements BatchSource {
  private readonly pending: Promise<HostBatch>[] = []

  constructor(
    private readonly samples: IndexedDataset<unknown>,
    private readonly tasks: Iterator<BatchTask>,
    private readonly making: Making,
    private readonly ahead: number,
  ) {}

  async next(): Promise<HostBatch | undefined> {
    while (this.pending.length <= this.ahead) {
      const { value: task, done } = this.tasks.next()
      if (done) break
      const made = this.make(task)
      // A batch that nobody gets to must not become an unhandled rejection.
      made.catch(() => undefined)
      this.pending.push(made)
    }
    return this.pending.shift()
  }

  async close(): Promise<void> {
    this.pending.length = 0
  }

  private async make(task: BatchTask): Promise<HostBatch> {
    const contexts = placesOf(task, this.making)
    const made = await Promise.allSettled(contexts.map(async (context) => this.samples.get(context.index, context)))
    const samples = made.map((result, at) => {
      if (result.status === 'fulfilled') return result.value
      throw sampleError(task.indices[at] as number, result.reason)
    })
    return makeBatch(samples, task.batch, this.making, task.indices)
  }
}

/** Reads a stream from its beginning, passes over the batches before `start`, and keeps up to `ahead` beyond the one asked for. */
export class StreamSource implements BatchSource {
  private readonly entries: AsyncIterator<readonly [unknown, SampleContext]>
  private readonly pending: Promise<HostBatch | undefined>[] = []
  private last: Promise<unknown> = Promise.resolve()
  private batch = 0
  private ended = false
  private reading = false

  constructor(
    samples: StreamDataset<unknown>,
    private readonly options: {
      readonly start: number
      readonly batchSize: number
      readonly dropLast: boolean
      readonly ahead: number
    },
    private readonly making: Making,
  ) {
    this.entries = samples.entries(making)[Symbol.asyncIterator]()
  }

  async next(): Promise<HostBatch | undefined> {
    while (this.pending.length <= this.options.ahead && !this.ended) {
      const made = this.last.then(() => this.read())
      // As above; whoever gets to the batch has the error.
      made.catch(() => undefined)
      this.last = made
      this.pending.push(made)
    }
    return this.pending.shift()
  }

  async close(): Promise<void> {
    this.ended = true
    this.pending.length = 0
    const closed = this.last.catch(() => undefined).then(() => this.entries.return?.())
    // A source that nothing comes from is closed when something does.
    if (this.reading) closed.catch(() => undefined)
    else await closed
  }

  private async read(): Promise<HostBatch | undefined> {
    const { start, batchSize, dropLast } = this.options
    while (!this.ended) {
      const samples: unknown[] = []
      const indices: number[] = []
      while (samples.length < batchSize && !this.ended) {
        this.reading = true
        const { value, done } = await this.entries.next().finally(() => {
          this.reading = false
        })
        if (done) this.ended = true
        else {
          samples.push(value[0])
          indices.push(value[1].index)
        }
      }
      if (samples.length === 0 || (dropLast && samples.length < batchSize)) return undefined
      const batch = this.batch++
      if (batch >= start) return makeBatch(samples, batch, this.making, indices)
    }
    return undefined
  }
}
