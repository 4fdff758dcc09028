// The loader: batches of tensors from a dataset, epoch by epoch, in an order that can be gone on with from any batch.
import { integerFrom, optionsOf } from '../ops/arguments.js'
import type { Device } from '../runtime/device.js'
import { ArgumentError } from '../runtime/errors.js'
import type { CollateRules } from './collate.js'
import { type DatasetLike, dataset, IndexedDataset, type StreamDataset } from './dataset.js'
import { checkSeed, Random } from './philox.js'
import { type BatchSource, type BatchTask, type Collate, IndexedSource, type Making, StreamSource } from './produce.js'
import type { BatchSampler, Sampler } from './sampler.js'
import { type Batch, disposeBatch, tensorsOf } from './tensors.js'
import { IdleWorkers, WorkerSource } from './workers.js'

export interface LoaderOptions<T, M extends string = string> extends CollateRules<M> {
  /** Samples per batch. Default 1. */
  readonly batchSize?: number
  /** Another order in each epoch. Default false. Streams are mixed by `dataset.shuffle` instead. */
  readonly shuffle?: boolean | { readonly seed: number }
  /** Which samples an epoch takes, in place of `shuffle`: `weightedSampler`. */
  readonly sampler?: Sampler
  /** Which samples each batch takes, in place of `batchSize`, `shuffle` and `dropLast`: `bucketSampler`. */
  readonly batchSampler?: BatchSampler
  /** Leaves out the last batch where it is not full. Default false. */
  readonly dropLast?: boolean
  /** Worker threads that make batches; they take datasets of `fromModule`. Default 0: this thread makes them. */
  readonly workers?: number
  /** Keeps the workers from one epoch to the next, until `close()`. Default false: each epoch starts its own. */
  readonly keepWorkers?: boolean
  /** Batches made ahead, per worker where there are any. Default 2. */
  readonly prefetch?: number
  /** Makes a batch of samples in place of stacking them; with workers, an export named in `fromModule`. */
  readonly collate?: Collate<T>
  /** Of the order of the epochs and of what transforms draw. Default 0. */
  readonly seed?: number
  /** Where the tensors are. Default: the default device. */
  readonly device?: Device | string
}

/** Where a loader is; plain JSON for a checkpoint. */
export interface LoaderState {
  readonly version: 1
  /** From 0. */
  readonly epoch: number
  /** Batches of the epoch handed out so far. */
  readonly position: number
  readonly seed: number
  readonly batchSize: number
  /** Samples of the dataset, where they are known. */
  readonly samples: number | null
}

/**
 * Batches of a dataset: each `for await` is one epoch. The order of an epoch and what its transforms draw depend on the
 * seed and the number of the epoch alone, whatever the number of workers. A batch's tensors are disposed when the next is
 * asked for, and at the end.
 *
 * @example for await (const { image, label } of new DataLoader(digits, { batchSize: 64, shuffle: true })) ...
 */
export class DataLoader<T extends object, M extends string = never> implements AsyncIterable<Batch<T, M>> {
  private readonly samples: IndexedDataset<T> | StreamDataset<T>
  private readonly options: LoaderOptions<T, M>
  private readonly batchSize: number
  private seed: number
  private epoch = 0
  private position = 0
  /** Whether the next iteration goes on with this epoch, rather than with the one after it. */
  private resumes = true
  private open = false
  private readonly idle: IdleWorkers | undefined

  /** Throws `ArgumentError` for options that do not fit the dataset or one another. */
  constructor(source: DatasetLike<T>, options: LoaderOptions<T, M> = {}) {
    this.options = optionsOf('DataLoader', options)
    this.samples = dataset(source)
    this.idle = options.keepWorkers ? new IdleWorkers() : undefined
    const { batchSize = 1, shuffle = false, workers = 0, prefetch = 2, sampler, batchSampler, collate } = options
    this.batchSize = integerFrom('DataLoader', 'batchSize', batchSize, 1)
    integerFrom('DataLoader', 'workers', workers, 0)
    integerFrom('DataLoader', 'prefetch', prefetch, workers > 0 ? 1 : 0)
    this.seed = checkSeed('DataLoader', options.seed ?? (typeof shuffle === 'object' ? shuffle.seed : 0))
    if (sampler && (shuffle || batchSampler)) {
      throw new ArgumentError('DataLoader: a sampler decides the order; leave out shuffle and batchSampler')
    }
    if (batchSampler && (shuffle || options.batchSize !== undefined || options.dropLast)) {
      throw new ArgumentError(
        'DataLoader: a batchSampler decides the batches; leave out shuffle, batchSize and dropLast',
      )
    }
    if (!(this.samples instanceof IndexedDataset)) {
      if (shuffle || sampler || batchSampler) {
        throw new ArgumentError(
          'DataLoader: the samples of a stream come in its own order; mix them with dataset.shuffle({ seed, buffer }) and leave out shuffle and samplers',
        )
      }
      if (workers > 0)
        throw new ArgumentError('DataLoader: workers take samples by index, not a stream; leave workers out')
    } else if (workers > 0) {
      if (!this.samples.origin) {
        throw new ArgumentError(
          'DataLoader: workers can not take closures; give the dataset as await fromModule(url, { export }), with its maps in that module',
        )
      }
      if (collate) {
        throw new ArgumentError(
          "DataLoader: workers can not take a collate function; name it in fromModule(url, { collate: 'itsExport' })",
        )
      }
    }
  }

  /** Batches per epoch; undefined for a stream, whose end is not known. */
  get length(): number | undefined {
    const { batchSampler, sampler, dropLast } = this.options
    if (batchSampler) return batchSampler.length
    if (!(this.samples instanceof IndexedDataset)) return undefined
    const batches = (sampler?.length ?? this.samples.length) / this.batchSize
    return dropLast ? Math.floor(batches) : Math.ceil(batches)
  }

  /** How far it is: after the last batch handed out. */
  state(): LoaderState {
    const { epoch, position, seed, batchSize } = this
    return { version: 1, epoch, position, seed, batchSize, samples: this.count }
  }

  /**
   * Makes the next iteration go on after the batch that the state was taken at; after the last of an epoch that is the
   * next epoch. Throws `ArgumentError` for what is no state, or one of another dataset or batch size.
   */
  load(state: LoaderState): void {
    const { version, epoch, position, seed, batchSize, samples } = optionsOf('DataLoader.load', state)
    if (version !== 1)
      throw new ArgumentError(`DataLoader.load: a state of version ${String(version)} is none of this loader's`)
    integerFrom('DataLoader.load', 'the epoch', epoch, 0)
    integerFrom('DataLoader.load', 'the position', position, 0)
    checkSeed('DataLoader.load', seed)
    if (batchSize !== this.batchSize || samples !== this.count) {
      throw new ArgumentError(
        `DataLoader.load: the state is of ${samples ?? 'a stream of'} samples in batches of ${batchSize}, the loader has ${this.count ?? 'a stream of'} in batches of ${this.batchSize}`,
      )
    }
    if (this.open) throw new ArgumentError('DataLoader.load: an epoch is being read; end its loop first')
    this.seed = seed
    this.epoch = epoch
    this.position = position
    this.resumes = true
  }

  /** One epoch. Throws `ArgumentError` while another is being read, `DataError` for a sample that can not be made. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch<T, M>, void, undefined> {
    if (this.open)
      throw new ArgumentError('DataLoader: an epoch is being read already; end its loop before another begins')
    this.open = true
    let source: BatchSource | undefined
    let finished = false
    let batch: Record<string, unknown> | undefined
    try {
      if (!this.resumes) this.nextEpoch()
      const begun = this.position
      this.resumes = false
      source = this.source()
      let made = await source.next()
      if (made === undefined && begun > 0) {
        // The state was taken after the last batch of its epoch.
        await source.close(true)
        this.nextEpoch()
        source = this.source()
        made = await source.next()
      }
      for (; made !== undefined; made = await source.next()) {
        batch = tensorsOf(made, this.options.device)
        this.position++
        yield batch as Batch<T, M>
        disposeBatch(batch)
        batch = undefined
      }
      finished = true
    } finally {
      this.open = false
      disposeBatch(batch)
      await source?.close(finished)
    }
  }

  /** Ends the workers that `keepWorkers` kept. A loop that is left early, or fails, ends its workers by itself. */
  async close(): Promise<void> {
    await this.idle?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private get count(): number | null {
    return this.samples instanceof IndexedDataset ? this.samples.length : null
  }

  private nextEpoch(): void {
    this.epoch++
    this.position = 0
  }

  /** What makes the batches of this epoch from this position on. */
  private source(): BatchSource {
    const { seed, epoch, samples, position, batchSize } = this
    const { pad, dtypes, dropLast = false, workers = 0, prefetch = 2 } = this.options
    const collate = this.options.collate ?? (samples instanceof IndexedDataset ? samples.origin?.collate : undefined)
    const rules = { ...(pad ? { pad } : {}), ...(dtypes ? { dtypes } : {}) }
    const making: Making = { seed, epoch, rules, collate: collate as Collate<never> | undefined }
    if (!(samples instanceof IndexedDataset))
      return new StreamSource(samples, { start: position, batchSize, dropLast, ahead: prefetch }, making)
    const tasks = this.tasks(samples.length)
    return workers > 0
      ? new WorkerSource(samples, tasks, making, { workers, prefetch }, this.idle)
      : new IndexedSource(samples, tasks, making, prefetch)
  }

  private *tasks(samples: number): Generator<BatchTask, undefined> {
    const { batchSampler, sampler, shuffle, dropLast = false } = this.options
    const random = new Random(this.seed, 'order', { epoch: this.epoch })
    const ready = batchSampler?.batches(random)
    const order = ready
      ? undefined
      : sampler
        ? sampler.order(random)
        : shuffle
          ? random.permutation(samples)
          : undefined
    const total = sampler || order ? (order?.length as number) : samples
    const batches = ready?.length ?? (dropLast ? Math.floor(total / this.batchSize) : Math.ceil(total / this.batchSize))
    const seen = sampler || batchSampler ? new Map<number, number>() : undefined
    for (let batch = 0; batch < batches; batch++) {
      const start = batch * this.batchSize
      const indices = ready
        ? Uint32Array.from(ready[batch] as ArrayLike<number>)
        : Uint32Array.from(
            { length: Math.min(this.batchSize, total - start) },
            (_, i) => order?.[start + i] ?? start + i,
          )
      const repeats =
        seen &&
        Uint32Array.from(indices, (index) => {
          const before = seen.get(index) ?? 0
          seen.set(index, before + 1)
          return before
        })
      if (batch >= this.position) yield { batch, indices, repeats }
    }
    return undefined
  }
}
