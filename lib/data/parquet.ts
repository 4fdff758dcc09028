// Parquet files as datasets with rows by index, by hyparquet: a row group is decoded when one of its rows is asked for.
import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { ArgumentError, DataError } from '../runtime/errors.js'
import { IndexedDataset } from './dataset.js'
import { load } from './optional.js'

export interface ParquetOptions {
  /** Columns that are read. Default: all. */
  readonly columns?: readonly string[]
  /** Decoded row groups that are kept, the last ones used. Default 2; more where rows are asked for in random order. */
  readonly cachedGroups?: number
  /** Larger row groups are an error. Default 2^23 rows and 2^30 bytes when decompressed. */
  readonly maxGroup?: { readonly rows?: number; readonly bytes?: number }
}

/** Numbers, strings, booleans, bigints of 64-bit integers, lists, dates; null where missing. */
export type ParquetRow = Record<string, unknown>

interface Group {
  readonly start: number
  readonly end: number
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
  const { rows: mostRows = 2 ** 23, bytes: mostBytes = 2 ** 30 } = maxGroup
  const file = path instanceof URL ? fileURLToPath(path) : path
  if (typeof file !== 'string')
    throw new ArgumentError(`readParquet: it takes a path or a file URL, not ${String(file)}`)
  const { size } = await stat(file).catch((cause: Error) => {
    throw new DataError(`readParquet: ${file} can not be read: ${cause.message}`, 'unreadable', { file }, { cause })
  })
  if (size < 12)
    throw new DataError(`readParquet: ${file} is no Parquet file: it has ${size} bytes`, 'malformed', { file })
  const { asyncBufferFromFile, parquetMetadataAsync, parquetRead, parquetSchema } = (await load(
    'readParquet',
    'hyparquet',
  )) as typeof import('hyparquet')
  const { compressors } = (await load('readParquet', 'hyparquet-compressors')) as typeof import('hyparquet-compressors')
  const bounded = Object.fromEntries(
    Object.entries(compressors).map(([codec, decompress]) => [
      codec,
      (input: Uint8Array, length: number): Uint8Array => {
        if (length > mostBytes) throw new Error(`a page claims ${length} bytes`)
        return decompress(input, length)
      },
    ]),
  )
  try {
    const buffer = await asyncBufferFromFile(file)
    const metadata = await parquetMetadataAsync(buffer)
    const names = parquetSchema(metadata).children.map(({ element }) => element.name)
    const unknown = columns?.find((name) => !names.includes(name))
    if (unknown !== undefined) {
      throw new DataError(`readParquet: ${file} has no column '${unknown}'; it has ${names.join(', ')}`, 'malformed', {
        file,
        field: unknown,
      })
    }
    const chosen = columns ?? names
    const groups: Group[] = []
    for (const { num_rows, columns: chunks } of metadata.row_groups) {
      const rows = Number(num_rows)
      const start = groups.at(-1)?.end ?? 0
      const bytes = chunks.reduce((sum, { meta_data }) => sum + Number(meta_data?.total_uncompressed_size ?? 0), 0)
      if (!(Number.isSafeInteger(rows) && rows >= 0)) throw new Error(`a row group claims ${num_rows} rows`)
      if (rows > mostRows || !(bytes <= mostBytes)) {
        throw new DataError(
          `readParquet: a row group of ${file} has ${rows} rows of ${bytes} bytes, the limits are ${mostRows} and ${mostBytes}; raise maxGroup if it is meant`,
          'tooLarge',
          { file, row: start + 1 },
        )
      }
      if (rows > 0) groups.push({ start, end: start + rows })
    }
    const read: Read = async ({ start, end }) => {
      try {
        const rows = Array.from({ length: end - start }, (): ParquetRow => ({}))
        // One after the other: of columns that are read together the library leaves the second failure unhandled.
        for (const name of chosen) {
          let found = 0
          await parquetRead({
            file: buffer,
            metadata,
            compressors: bounded,
            columns: [name],
            rowStart: start,
            rowEnd: end,
            onChunk({ columnName, columnData, rowStart }) {
              if (columnName !== name) return
              for (let i = 0; i < columnData.length; i++) {
                const row = rows[rowStart - start + i]
                if (!row) continue
                const value: unknown = columnData[i]
                Object.defineProperty(row, name, {
                  value: value ?? null,
                  enumerable: true,
                  writable: true,
                  configurable: true,
                })
                found++
              }
            },
          })
          if (found !== rows.length) throw new Error(`the column '${name}' has ${found} of ${rows.length} rows`)
        }
        return rows
      } catch (cause) {
        throw new DataError(
          `readParquet: rows ${start + 1} to ${end} of ${file} can not be read: ${(cause as Error).message}`,
          'malformed',
          { file, row: start + 1 },
          { cause },
        )
      }
    }
    return new ParquetDataset(chosen, groups, cachedGroups, read)
  } catch (cause) {
    if (cause instanceof DataError) throw cause
    throw new DataError(
      `readParquet: ${file} can not be read: ${(cause as Error).message}`,
      'malformed',
      { file },
      { cause },
    )
  }
}
