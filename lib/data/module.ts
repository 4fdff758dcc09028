// A dataset given by the module that makes it: what worker threads, which can not take closures, make their own from.
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { dataset, IndexedDataset, type Origin, type RandomAccess } from './dataset.js'
import type { SampleContext } from './sample.js'

export interface ModuleOptions {
  /** Name of the export: a function that gives the dataset, or the dataset itself. Default 'default'. */
  readonly export?: string
  /** What the function is called with; must be cloneable (no functions). Default none. */
  readonly args?: readonly unknown[]
  /** Name of an export that makes a batch of samples, as a loader's `collate`. */
  readonly collate?: string
}

/** @internal A module's dataset as worker threads are told of it. */
export interface ModuleSource {
  readonly url: string
  readonly name: string
  readonly args: readonly unknown[]
  readonly collate: string | undefined
}

/** @internal What a module source names, imported here. */
export interface ModuleContents {
  readonly dataset: IndexedDataset<unknown>
  readonly collate: unknown
}

class ModuleDataset<T> extends IndexedDataset<T> {
  constructor(
    private readonly samples: IndexedDataset<T>,
    private readonly source: ModuleSource,
    private readonly collate: unknown,
  ) {
    super()
  }

  get length(): number {
    return this.samples.length
  }

  override get origin(): Origin {
    return { source: this.source, collate: this.collate, at: (index) => index }
  }

  protected read(index: number, context: SampleContext): T | Promise<T> {
    return this.samples.get(index, context)
  }
}

/** @internal Imports the module and makes its dataset. Throws `ArgumentError`. */
export async function importSource({ url, name, args, collate }: ModuleSource): Promise<ModuleContents> {
  const contents = (await import(url)) as Record<string, unknown>
  const exported = contents[name]
  if (exported === undefined) throw new ArgumentError(`fromModule: ${url} has no export '${name}'`)
  const made: unknown = typeof exported === 'function' ? await exported(...args) : exported
  if (collate !== undefined && typeof contents[collate] !== 'function') {
    throw new ArgumentError(
      `fromModule: the export '${collate}' of ${url} is ${describe(contents[collate])}, not a function`,
    )
  }
  const found = dataset(made as RandomAccess<unknown>)
  if (!(found instanceof IndexedDataset)) {
    throw new ArgumentError(
      `fromModule: '${name}' of ${url} is a stream; workers take samples by index, from an object with length and get(index)`,
    )
  }
  return { dataset: found, collate: collate === undefined ? undefined : contents[collate] }
}

/**
 * The dataset that the module at `url` exports, for a loader with workers: this thread and each worker import the module
 * and make one of their own. `select`, `take`, `skip`, `shuffle` and the splits keep it one for workers; `map` belongs into
 * the module. Throws `ArgumentError` where there is no such export, or it is no dataset with samples by index.
 *
 * @example const digits = await fromModule(new URL('./digits.js', import.meta.url), { export: 'digits', args: ['train'] })
 */
export async function fromModule<T extends object>(
  url: URL | string,
  options: ModuleOptions = {},
): Promise<IndexedDataset<T>> {
  const { export: name = 'default', args = [], collate } = options
  const source: ModuleSource = { url: String(url), name, args, collate }
  const made = await importSource(source)
  return new ModuleDataset(made.dataset as IndexedDataset<T>, source, made.collate)
}
