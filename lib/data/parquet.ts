// Parquet files as datasets with rows by index, by hyparquet: a row group is decoded when one of its rows is asked for.
import { fileURLToPath } from 'node:url'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { ArgumentError } from '../runtime/errors.js'
import { IndexedDataset } from './dataset.js'
import { type Group, openParquet, type ParquetRow } from './parquetFile.js'

export interface ParquetOptions {
  /** Columns that are read. Default: all. */
  readonly columns?: readonly string[]
  /** Decoded row groups that are kept, the last ones used. Default 2; more where rows are asked for in random order. */
  readonly cachedGroups?: number
  /** Larger row groups are an error. Default 2^23 rows and 2^30 bytes when decompressed. */
  readonly maxGroup?: { readonly rows?: number; readonly bytes?: number }
}

type Read = (group: Group) => Promise<readonly ParquetRow[]>

/** The rows of a Parquet file. */
export class ParquetDataset extends IndexedDataset<ParquetRow> {
  private readonly cache = new Map<Group, Promise<readonly ParquetRow[]>>()

  /** @internal From `readParquet`. */
  constructor(
    /** Names of the columns that are read. */
    readonly columns: readonly string[],
    private readonly groups: readonly Group[],
    private readonly cachedGroups: number,
    private readonly load: Read,
  ) {
    super()
  }

  get length(): number {
    return this.groups.at(-1)?.end ?? 0
  }

  protected async read(index: number): Promise<ParquetRow> {
    const group = this.groupOf(index)
    const rows = await this.rowsOf(group)
    return { ...(rows[index - group.start] as ParquetRow) }
  }

  private groupOf(index: number): Group {
    let low = 0
    let high = this.groups.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.groups[middle] as Group).end > index) high = middle
      else low = middle + 1
    }
    return this.groups[low] as Group
  }

  private rowsOf(group: Group): Promise<readonly ParquetRow[]> {
    const rows = this.cache.get(group) ?? this.load(group)
    // Put last: the first one is that which nobody used for longest.
    this.cache.delete(group)
    this.cache.set(group, rows)
    for (const oldest of this.cache.keys()) {
      if (this.cache.size <= this.cachedGroups) break
      this.cache.delete(oldest)
    }
    rows.catch(() => this.cache.delete(group))
    return rows
  }
}

/**
 * A Parquet file's rows. Rows in order cost one decoding per row group; where an epoch is to be shuffled, cache as many
 * groups as fit in memory, or mix `rows.stream().shuffle({ buffer })`. Throws `DataError` for what is no Parquet file, is
 * broken, or has row groups beyond the limits.
 *
 * @example const rows = await readParquet('train.parquet', { columns: ['text', 'label'] })
 */
export async function readParquet(path: string | URL, options: ParquetOptions = {}): Promise<ParquetDataset> {
  const { columns, cachedGroups = 2, maxGroup = {} } = optionsOf('readParquet', options)
  integerFrom('readParquet', 'cachedGroups', cachedGroups, 1)
  const file = path instanceof URL ? fileURLToPath(path) : path
  if (typeof file !== 'string') {
    throw new ArgumentError(`readParquet: it takes a path or a file URL, not ${String(file)}`)
  }
  const { rows = 2 ** 23, bytes = 2 ** 30 } = maxGroup
  const opened = await openParquet(file, columns, { rows, bytes })
  return new ParquetDataset(opened.columns, opened.groups, cachedGroups, opened.read)
}
