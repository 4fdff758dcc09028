// Datasets: samples by index, or as a stream, and what is made of them lazily by map, filter, shuffle and batch.
import { integerFrom } from '../ops/arguments.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { ModuleSource } from './module.js'
import { fromBeginning, isIterable } from './once.js'
import { checkSeed, Random } from './philox.js'
import { type EpochPlace, type SampleContext, SamplePlace } from './sample.js'

/** Samples by index. `get` may be asynchronous; the context carries the random numbers of the sample. */
export interface RandomAccess<T> {
  readonly length: number
  get(index: number, context?: SampleContext): T | Promise<T>
}

export type Dataset<T> = RandomAccess<T> | AsyncIterable<T>

/** Samples one after the other. */
export type Sequence<T> = AsyncIterable<T> | Iterable<T>

/** What a loader takes for a dataset. */
export type DatasetLike<T> = Dataset<T> | readonly T[]

type Mapping<T, U> = (sample: T, context: SampleContext) => U | Promise<U>
type Predicate<T> = (sample: T, context: SampleContext) => boolean | Promise<boolean>

/** @internal How a worker makes the samples of a dataset: from which module, and at which index there. */
export interface Origin {
  readonly source: ModuleSource
  /** The module's own `collate`, in this thread. */
  readonly collate: unknown
  at(index: number): number
}

const FIRST: EpochPlace = { seed: 0, epoch: 0 }

/** Samples by index. What its methods give is computed when it is asked for; the dataset itself never changes. */
export abstract class IndexedDataset<T> implements RandomAccess<T>, AsyncIterable<T> {
  abstract readonly length: number

  /** @internal Makes sample `index`, which is in range. */
  protected abstract read(index: number, context: SampleContext): T | Promise<T>

  /** @internal Where workers find the same samples; undefined where only this thread can make them. */
  get origin(): Origin | undefined {
    return undefined
  }

  /** Sample `index`, from 0. Throws `ArgumentError` for an index out of range. */
  get(index: number, context: SampleContext = new SamplePlace(0, 0, index)): T | Promise<T> {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new ArgumentError(`dataset.get: the index ${String(index)} is no integer from 0 to ${this.length - 1}`)
    }
    return this.read(index, context)
  }

  /** Every sample passed through `fn(sample, { index, epoch, random })`, each time it is asked for. */
  map<U>(fn: Mapping<T, U>): IndexedDataset<U> {
    return new Made(this.length, (index, context) => {
      const sample = this.get(index, context)
      return sample instanceof Promise ? sample.then((value) => fn(value, context)) : fn(sample, context)
    })
  }

  /** The samples for which `predicate` holds, as a stream: how many they are is not known before all are read. */
  filter(predicate: Predicate<T>): StreamDataset<T> {
    return this.stream().filter(predicate)
  }

  /** The indices for which `predicate` holds, for `select`. Reads every sample. */
  async indicesWhere(predicate: Predicate<T>): Promise<number[]> {
    const found: number[] = []
    for (let index = 0; index < this.length; index++) {
      const context = new SamplePlace(0, 0, index)
      if (await predicate(await this.get(index, context), context)) found.push(index)
    }
    return found
  }

  /** The samples at `indices`, in that order. Throws `ArgumentError` for an index out of range. */
  select(indices: ArrayLike<number>): IndexedDataset<T> {
    const wrong = Array.prototype.find.call(
      indices,
      (index) => !(Number.isInteger(index) && index >= 0 && index < this.length),
    )
    if (wrong !== undefined) {
      throw new ArgumentError(`dataset.select: the index ${String(wrong)} is no integer from 0 to ${this.length - 1}`)
    }
    const chosen = Uint32Array.from(indices)
    return new Made(
      chosen.length,
      (index, context) => this.get(chosen[index] as number, context),
      () => {
        const { origin } = this
        return origin && { ...origin, at: (index) => origin.at(chosen[index] as number) }
      },
    )
  }

  /** The first `count` samples, or all where there are fewer. */
  take(count: number): IndexedDataset<T> {
    integerFrom('dataset.take', 'the count', count, 0)
    return this.select(Uint32Array.from({ length: Math.min(count, this.length) }, (_, i) => i))
  }

  /** All but the first `count` samples. */
  skip(count: number): IndexedDataset<T> {
    integerFrom('dataset.skip', 'the count', count, 0)
    return this.select(Uint32Array.from({ length: Math.max(0, this.length - count) }, (_, i) => i + count))
  }

  /** In the order of a permutation that the seed alone decides; a loader's `shuffle` gives each epoch another one. */
  shuffle({ seed = 0 }: { readonly seed?: number } = {}): IndexedDataset<T> {
    return this.select(new Random(checkSeed('dataset.shuffle', seed), 'dataset').permutation(this.length))
  }

  /** Lists of `size` samples, the last one shorter where they do not come out even, unless `dropLast`. */
  batch(size: number, { dropLast = false }: { readonly dropLast?: boolean } = {}): IndexedDataset<T[]> {
    integerFrom('dataset.batch', 'the size', size, 1)
    const count = dropLast ? Math.floor(this.length / size) : Math.ceil(this.length / size)
    return new Made(count, (batch, context) => {
      const indices = Array.from({ length: Math.min(size, this.length - batch * size) }, (_, i) => batch * size + i)
      return Promise.all(
        indices.map((index) => this.get(index, new SamplePlace(seedOf(context), context.epoch, index))),
      )
    })
  }

  /** This dataset's samples, then those of `others`. */
  concat(...others: readonly DatasetLike<T>[]): IndexedDataset<T> {
    const parts = [this, ...others.map((other) => indexed('dataset.concat', other))]
    const ends: number[] = []
    for (const part of parts) ends.push((ends.at(-1) ?? 0) + part.length)
    return new Made(ends.at(-1) as number, (index, context) => {
      const part = ends.findIndex((end) => index < end)
      return (parts[part] as IndexedDataset<T>).get(index - (ends[part - 1] ?? 0), context)
    })
  }

  /** The same samples one after the other. */
  stream(): StreamDataset<T> {
    return new StreamDataset((place) => this.entries(place))
  }

  /** Every sample, as an array. */
  toArray(): Promise<T[]> {
    return this.stream().toArray()
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this.stream()[Symbol.asyncIterator]()
  }

  private async *entries({ seed, epoch }: EpochPlace): AsyncGenerator<Entry<T>> {
    for (let index = 0; index < this.length; index++) {
      const context = new SamplePlace(seed, epoch, index)
      yield [await this.get(index, context), context]
    }
  }
}

const seedOf = (context: SampleContext): number => (context instanceof SamplePlace ? context.seed : 0)

/** Samples made by a function. */
class Made<T> extends IndexedDataset<T> {
  constructor(
    readonly length: number,
    protected readonly read: (index: number, context: SampleContext) => T | Promise<T>,
    private readonly find: () => Origin | undefined = () => undefined,
  ) {
    super()
  }

  override get origin(): Origin | undefined {
    return this.find()
  }
}

/** @internal A sample of a stream and the context it keeps on its way. */
export type Entry<T> = readonly [T, SampleContext]

/** Samples one after the other, as often as the stream's source can be read. */
export class StreamDataset<T> implements AsyncIterable<T> {
  /** @internal Streams come from `dataset`, from readers and from other datasets. */
  constructor(
    /** @internal */
    readonly entries: (place: EpochPlace) => AsyncIterable<Entry<T>>,
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for await (const [sample] of this.entries(FIRST)) yield sample
  }

  /** Every sample passed through `fn(sample, { index, epoch, random })`; the index counts what the source gave. */
  map<U>(fn: Mapping<T, U>): StreamDataset<U> {
    return this.through(async function* (entries) {
      for await (const [sample, context] of entries) yield [await fn(sample, context), context]
    })
  }

  /** The samples for which `predicate` holds. */
  filter(predicate: Predicate<T>): StreamDataset<T> {
    return this.through(async function* (entries) {
      for await (const entry of entries) if (await predicate(...entry)) yield entry
    })
  }

  /** The first `count` samples; what follows is not read. */
  take(count: number): StreamDataset<T> {
    integerFrom('dataset.take', 'the count', count, 0)
    return this.through(async function* (entries) {
      let left = count
      if (left === 0) return
      for await (const entry of entries) {
        yield entry
        if (--left === 0) return
      }
    })
  }

  /** All but the first `count` samples. */
  skip(count: number): StreamDataset<T> {
    integerFrom('dataset.skip', 'the count', count, 0)
    return this.through(async function* (entries) {
      let left = count
      for await (const entry of entries) if (left-- <= 0) yield entry
    })
  }

  /**
   * Mixes within a buffer of `buffer` samples: each one given is drawn from it and the next one read takes its place. The
   * order depends on the seed and the epoch.
   */
  shuffle({ seed = 0, buffer = 1024 }: { readonly seed?: number; readonly buffer?: number } = {}): StreamDataset<T> {
    checkSeed('dataset.shuffle', seed)
    integerFrom('dataset.shuffle', 'the buffer', buffer, 1)
    return this.through(async function* (entries, { epoch }) {
      const random = new Random(seed, 'dataset', { epoch })
      const held: Entry<T>[] = []
      for await (const entry of entries) {
        if (held.length < buffer) {
          held.push(entry)
          continue
        }
        const chosen = random.integer(buffer)
        yield held[chosen] as Entry<T>
        held[chosen] = entry
      }
      for (const chosen of random.permutation(held.length)) yield held[chosen] as Entry<T>
    })
  }

  /** Lists of `size` samples, the last one shorter where they do not come out even, unless `dropLast`. */
  batch(size: number, { dropLast = false }: { readonly dropLast?: boolean } = {}): StreamDataset<T[]> {
    integerFrom('dataset.batch', 'the size', size, 1)
    return this.through(async function* (entries, { seed, epoch }) {
      let count = 0
      let held: T[] = []
      for await (const [sample] of entries) {
        held.push(sample)
        if (held.length < size) continue
        yield [held, new SamplePlace(seed, epoch, count++)]
        held = []
      }
      if (held.length > 0 && !dropLast) yield [held, new SamplePlace(seed, epoch, count)]
    })
  }

  /** This stream's samples, then those of `others`. */
  concat(...others: readonly DatasetLike<T>[]): StreamDataset<T> {
    const parts = [this, ...others.map(streamOf)]
    return new StreamDataset(async function* (place) {
      let count = 0
      for (const part of parts) {
        for await (const [sample] of part.entries(place)) {
          yield [sample, new SamplePlace(place.seed, place.epoch, count++)]
        }
      }
    })
  }

  /** Every sample, as an array. */
  async toArray(): Promise<T[]> {
    const samples: T[] = []
    for await (const sample of this) samples.push(sample)
    return samples
  }

  private through<U>(
    step: (entries: AsyncIterable<Entry<T>>, place: EpochPlace) => AsyncIterable<Entry<U>>,
  ): StreamDataset<U> {
    return new StreamDataset((place) => step(this.entries(place), place))
  }
}

const isRandomAccess = (value: unknown): value is RandomAccess<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  'get' in value &&
  typeof value.get === 'function' &&
  'length' in value &&
  typeof value.length === 'number'

/**
 * A dataset with methods around an array, an object of `length` and `get`, an (async) iterable, or a function that gives a new
 * one for each epoch. Throws `ArgumentError`.
 */
export function dataset<T>(source: readonly T[] | RandomAccess<T>): IndexedDataset<T>
export function dataset<T>(source: Sequence<T> | (() => Sequence<T>)): StreamDataset<T>
export function dataset<T>(source: DatasetLike<T>): IndexedDataset<T> | StreamDataset<T>
export function dataset<T>(
  source: DatasetLike<T> | Sequence<T> | (() => Sequence<T>),
): IndexedDataset<T> | StreamDataset<T> {
  if (source instanceof IndexedDataset || source instanceof StreamDataset) return source
  if (Array.isArray(source)) return new Made(source.length, (index) => source[index])
  if (isRandomAccess(source)) {
    return new Made(source.length, (index, context) => (source as RandomAccess<T>).get(index, context))
  }
  if (typeof source === 'function' || isIterable(source)) {
    return new StreamDataset(async function* ({ seed, epoch }) {
      let index = 0
      const samples = fromBeginning('dataset', (typeof source === 'function' ? source() : source) as Sequence<T>)
      for await (const sample of samples) yield [sample, new SamplePlace(seed, epoch, index++)]
    })
  }
  throw new ArgumentError(
    `dataset: it takes an array, an object with length and get(index), an iterable, or a function that gives one, not ${describe(source)}`,
  )
}

/** @internal The dataset with samples by index. Throws `ArgumentError` for a stream. */
export function indexed<T>(op: string, source: DatasetLike<T>): IndexedDataset<T> {
  const found = dataset(source)
  if (found instanceof IndexedDataset) return found
  throw new ArgumentError(`${op}: it takes samples by index, not a stream; read it with toArray() first`)
}

/** @internal The dataset as a stream. */
export const streamOf = <T>(source: DatasetLike<T>): StreamDataset<T> => {
  const found = dataset(source)
  return found instanceof IndexedDataset ? found.stream() : found
}
